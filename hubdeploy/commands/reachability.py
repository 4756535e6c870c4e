"""Whether a browser would get the login page of this deployment: through the published port, TLS and the proxy to the hub.

For an engine elsewhere a short-lived container on its host's network asks. It changes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from hubdeploy.blueprint import jobs
from hubdeploy.blueprint.components import COMPONENTS, SPAWNER
from hubdeploy.contract import login_page
from hubdeploy.contract.documents import DEPLOYMENT_HEADER
from hubdeploy.engine import Engine
from hubdeploy.errors import NotReady
from hubdeploy.settings.declarations import Settings
from hubdeploy.tls.certificates import Pair

# Raises NotReady unless a browser would get the login page; without a pair any certificate will do.
Confirm = Callable[[Engine, Settings, Pair | None], None]
# A proxy takes up new routes at once; a slow machine gets this long.
_WITHIN = 15.0
_STEP = 0.1
_COMES = "comes"


def confirm(engine: Engine, settings: Settings, pair: Pair | None) -> None:
    """Raises NotReady unless the login page comes within some seconds. Without a pair any certificate will do."""
    deadline = time.monotonic() + _WITHIN
    while (wrong := trouble(engine, settings, pair)) and time.monotonic() < deadline:
        time.sleep(_STEP)
    if wrong:
        raise NotReady(
            wanted=f"the login page of {settings.name} at {settings.public_url}",
            found=wrong,
            fix="see ./invoke status, ./invoke logs and ./invoke logs --of proxy; ./invoke up tries again",
        )


def trouble_in_front(settings: Settings) -> str:
    """What a browser of this machine would meet instead of the login page at the proxy in front; empty if that comes, or if there
    is no such proxy."""
    if not settings.behind:
        return ""
    host, port = settings.hub_host, str(settings.hub_port)
    return login_page.trouble("https", host, port, host, settings.hub_path, DEPLOYMENT_HEADER, settings.name)


def trouble(engine: Engine, settings: Settings, pair: Pair | None) -> str:
    """What a browser would meet instead of the login page; empty if that comes. Without a pair any certificate will do, and
    with ACME_EMAIL."""
    # Where an authority signs, the pair is what serves until then.
    known = pair.fingerprint if pair and settings.acme_email is None else ""
    asked = (*jobs.login_page_question(settings), known)
    if engine.local:
        return login_page.trouble(*asked)
    image = next(one.image_reference(settings) for one in COMPONENTS if one.role == SPAWNER)
    # The image may be one of an earlier version, so it gets the text.
    program = Path(login_page.__file__).read_text(encoding="utf-8")
    command = ("python3", "-c", f"{program}\nimport sys\nprint(trouble(*sys.argv[1:]) or {_COMES!r})", *asked)
    output = engine.run_once(image, command, deployment=settings.name, within=20.0, entrypoint=False, network="host")
    return "" if output == _COMES else output
