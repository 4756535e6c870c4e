"""The ways to log in, one row each. Data only: settings, messages, the hub's contract and the greeting follow the rows.

A new login is a row here and the declarations of its settings; nothing else knows a login by its name.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

# No letters and digits that look alike.
_READABLE = "abcdefghjkmnpqrstuvwxyz23456789"


@dataclass(frozen=True)
class LoginRow:
    """One way to log in. `field` means a field of Settings.

    `authenticator_class`: `module.Class` in the hub's image. `traits` and `secret_traits`: trait of that class ->
    field. `needs`: the fields without which it cannot work; a login with all of them set is the default.
    `personal`: each user proves who they are; any other login is refused beyond this machine. `generated`: secret field ->
    function that makes its value if nobody set one. `greeting`: who logs in how, with {field} for a value; `shown`: label
    -> secret field that a terminal shows with it. `asks`: the fields with the URLs that the hub asks. `discovers`: the field
    with the issuer of an OpenID Connect provider, which is asked what it is; the answer becomes traits. `groups`: the fields
    with the groups of users that it lets in, and of its admins. `invites`: each user needs a link of `invite` first.
    """

    authenticator_class: str
    traits: Mapping[str, str]
    secret_traits: Mapping[str, str]
    personal: bool
    greeting: str
    needs: tuple[str, ...] = ()
    generated: Mapping[str, Callable[[], str]] = field(default_factory=dict)
    shown: Mapping[str, str] = field(default_factory=dict)
    asks: tuple[str, ...] = ()
    discovers: str | None = None
    groups: tuple[str, ...] = ()
    invites: bool = False


def readable_password() -> str:
    """Three groups of four: 59 bits, and short enough to read out to a class."""
    return "-".join("".join(secrets.choice(_READABLE) for _ in range(4)) for _ in range(3))


LOGINS: dict[str, LoginRow] = {
    "github": LoginRow(
        authenticator_class="github.GitHub",
        # OAuthenticator derives the other addresses: URL/login/oauth/authorize and URL/login/oauth/access_token; the user
        # at api.github.com/user or, for any other URL, as GitHub Enterprise has it, URL/api/v3/user.
        traits={
            "github_url": "github_url",
            "client_id": "github_client_id",
            "oauth_callback_url": "callback_url",
            "allowed_groups": "allowed_organizations",
            "admin_groups": "admin_organizations",
        },
        secret_traits={"client_secret": "github_client_secret"},
        personal=True,
        greeting="each user with their account at {github_url}",
        needs=("github_client_id", "github_client_secret"),
        asks=("github_url",),
        groups=("allowed_organizations", "admin_organizations"),
    ),
    "oidc": LoginRow(
        authenticator_class="oidc.OIDC",
        traits={
            "client_id": "oidc_client_id",
            "oauth_callback_url": "callback_url",
            "username_claim": "oidc_username_claim",
            "groups_claim": "oidc_groups_claim",
            "allowed_groups": "allowed_groups",
            "admin_groups": "admin_groups",
        },
        secret_traits={"client_secret": "oidc_client_secret"},
        personal=True,
        greeting="each user with their account at {oidc_issuer}",
        needs=("oidc_issuer", "oidc_client_id", "oidc_client_secret"),
        discovers="oidc_issuer",
        groups=("allowed_groups", "admin_groups"),
    ),
    "accounts": LoginRow(
        # In the hub's image: jupyterhub/own_accounts.py.
        authenticator_class="own_accounts.Accounts",
        traits={},
        secret_traits={},
        personal=True,
        greeting="each user with a password of their own; ./invoke invite --all FILE writes a link for each who has none",
        invites=True,
    ),
    "shared-password": LoginRow(
        authenticator_class="jupyterhub.authenticators.shared.SharedPasswordAuthenticator",
        traits={},
        secret_traits={"user_password": "user_password", "admin_password": "admin_password"},
        personal=False,
        greeting="a name of userlist",
        generated={"user_password": readable_password, "admin_password": lambda: secrets.token_urlsafe(30)},
        shown={"users' password": "user_password", "admins' password": "admin_password"},
    ),
}
# The login that needs no setup.
FALLBACK = "shared-password"


def derived(values: object) -> str:
    """The first login whose needs are all set in `values` (an object with the fields of Settings), else the fallback."""
    complete = (name for name, row in LOGINS.items() if row.needs and all(getattr(values, one) for one in row.needs))
    return next(complete, FALLBACK)
