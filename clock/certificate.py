"""A job: whether browsers get a certificate that an authority signed, and if not, the order of one.

The proxy orders while there is a file in its dynamic directory, and after a failure again at each change of routes, which
would use up what the authority allows. So a failed order is taken out at once, and put back after pauses that grow. The
authority is asked for nothing before preflight and rehearsal found nothing that it would refuse. The state lies beside that file.
Arguments: address, port, host, ACME_DAYS, the file, its content, ACME_SERVER, HTTP_PORT, ACME_DNS, ACME_STAGING, and `now` where
no pause is to be kept.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import socket
import ssl
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from contract.documents import UNDER_WAY
from cryptography import x509
from dns.exception import DNSException

from clock import preflight
from clock.preflight import SHOWN, Found, Route, Shown, Token

# Seconds that an order may take, and from a failure to the next order: an authority counts failures by the hour and by the week.
ORDER_WITHIN = 120.0
PAUSES = (15 * 60.0, 3600.0, 4 * 3600.0, 12 * 3600.0, 24 * 3600.0)
# The part of its life at whose end a certificate should have been renewed long ago.
LATE = 1 / 10
# What ACME_DNS is where nothing is to be looked at.
NOBODY = "none"
_WITHIN, _STEP = 5.0, 0.05
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:Z|[+-]\d\d:\d\d)")
_ERROR = re.compile(r'\berror=("(?:[^"\\]|\\.)*"|\S+)')
_RESOLVER = re.compile(r"\bproviderName=authority\.acme\b")


@dataclass(frozen=True)
class State:
    """The last order: when it began (seconds since 1970; None: no order yet), how many failed since a good one, why the last one
    did (empty while it is under way), what was ordered, whether the authority was asked, and what was doubtful before."""

    began: float | None = None
    failures: int = 0
    why: str = ""
    order: str = ""
    asked: bool = True
    doubtful: str = ""

    @property
    def next_try(self) -> float:
        """What the authority did not see uses up nothing there."""
        pause = PAUSES[min(self.failures, len(PAUSES)) - 1] if self.asked else PAUSES[0]
        return (self.began or 0.0) + pause


@dataclass(frozen=True)
class Served:
    """A certificate that the proxy serves for the host. `names` are all that it is for."""

    issuer: str
    begins: datetime
    ends: datetime
    names: tuple[str, ...]

    def left(self, now: datetime) -> str:
        """How long it is valid yet, in words."""
        left = self.ends - now
        if left < timedelta(0):
            return "expired"
        for size, unit in ((timedelta(days=1), "days"), (timedelta(hours=1), "hours")):
            if left >= 2 * size:
                return f"{left // size} {unit} left"
        return f"{left // timedelta(minutes=1)} minutes left"

    def is_late(self, now: datetime) -> bool:
        return self.ends - now < (self.ends - self.begins) * LATE


@dataclass(frozen=True)
class Step:
    """What to do with the order (None: leave it), the state to remember, and what to tell."""

    order: bool | None
    state: State
    code: int
    words: str


def step(
    served: Served | None, ordered: bool, state: State, log: str, now: datetime, days: float, *, at_once: bool = False
) -> Step:
    """The next step. `served` is None while the self-made certificate is; `ordered`: the order is in its place; `log` is
    the proxy's; `days` is ACME_DAYS; `at_once`: somebody waits, and may have put right why the last order failed."""
    if served is not None:
        words = f"signed by {served.issuer} for {', '.join(served.names)}, {served.left(now)}"
        good = State(order=state.order)
        lasts = (served.ends - served.begins) / timedelta(days=1)
        if served.is_late(now):
            why = reason(log, 0.0) or "the proxy's log does not say why"
            return Step(None, good, 1, f"{words}: it was not renewed: {why}")
        if not days / 2 < lasts < days * 2:
            told = f"it is valid for {lasts:.3g} days in all, and ACME_DAYS={days:g}: set ACME_DAYS={lasts:.3g}"
            return Step(None, good, 1, f"{words}; {told}")
        return Step(None, good, 0, words)
    if ordered and state.began is not None and not state.why:
        why = reason(log, state.began)
        if not why and now.timestamp() < state.began + ORDER_WITHIN:
            doubtful = f"{state.doubtful}; " if state.doubtful else ""
            return Step(None, state, UNDER_WAY, f"{doubtful}an order is under way")
        why = why or f"the authority gave none within {ORDER_WITHIN:.0f} s"
        failed = replace(state, failures=state.failures + 1, why=why)
        return Step(False, failed, 1, _failure(failed))
    if state.why and not at_once and now.timestamp() < state.next_try:
        return Step(False, state, 1, _failure(state))
    return Step(True, replace(state, began=now.timestamp(), why="", asked=True), UNDER_WAY, "an order is under way")


def looked(step: Step, found: Found) -> Step:
    """The step that orders, after the preflight: it does not where the authority would refuse."""
    if found.refused:
        state = replace(step.state, why="; ".join(found.refused), asked=False, doubtful="; ".join(found.doubtful))
        return Step(False, state, 1, _failure(state))
    words = "; ".join((*found.doubtful, *found.well, step.words))
    return replace(step, state=replace(step.state, doubtful="; ".join(found.doubtful)), words=words)


def _failure(state: State) -> str:
    moment = datetime.fromtimestamp(state.next_try, UTC).astimezone()
    nothing = "" if state.asked else "nothing was ordered: "
    doubtful = f"; doubtful before: {state.doubtful}" if state.doubtful else ""
    return f"no certificate: {nothing}{state.why}{doubtful} (the next order is at {moment:%Y-%m-%d %H:%M})"


def reason(log: str, since: float) -> str:
    """Why the last order failed, in the authority's words, from the lines of the proxy's log since then; empty if none did."""
    for line in reversed(log.splitlines()):
        moment, error = _MOMENT.search(line), _ERROR.search(line)
        if not (moment and error and _RESOLVER.search(line)):
            continue
        # The log has whole seconds.
        if datetime.fromisoformat(moment.group()).timestamp() >= int(since):
            text = error.group(1)
            return " ".join((json.loads(text) if text.startswith('"') else text).split())
    return ""


def served_for(address: str, port: int, host: str) -> Served | None:
    """The certificate that the proxy serves for the host, unless that is one for other names. Raises OSError if none is."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection((address, port), _WITHIN) as plain,
        context.wrap_socket(plain, server_hostname=host) as tls,
    ):
        certificate = x509.load_der_x509_certificate(tls.getpeercert(binary_form=True) or b"")
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None
    for_names = tuple(names.get_values_for_type(x509.DNSName))
    if host not in for_names:
        return None
    issuer = certificate.issuer.rfc4514_string()
    return Served(issuer, certificate.not_valid_before_utc, certificate.not_valid_after_utc, for_names)


def main(
    address: str, port: str, host: str, days: str, file: str, content: str, server: str, http_port: str, servers: str,
    staging: str, now: str = "",
) -> int:  # fmt: skip
    order = Path(file)
    remembered = order.with_suffix(".json")
    with _alone(order):
        state = _remembered(remembered, content)
        ordered = order.exists() and order.read_text() == content
        try:
            served = served_for(address, int(port), host)
        except OSError as error:
            print(f"the proxy serves no certificate at {address} port {port}: {error}")
            return 1
        log = os.environ.get("LOG", "")
        found = step(served, ordered, state, log, datetime.now(UTC), float(days), at_once=bool(now))
        if found.order is True:
            proxy = Proxy(order.parent, address, int(http_port), host)
            beforehand = _preflight(proxy, server, servers)
            if staging and servers != NOBODY and not beforehand.refused:
                # Its packages take longer to load than all else, and most runs order nothing.
                from clock.rehearsal import rehearse

                beforehand += rehearse(staging, host, proxy.showing)
            found = looked(found, beforehand)
        _replace(remembered, json.dumps(asdict(found.state)))
        if found.order is True:
            _replace(order, content)
        elif found.order is False:
            order.unlink(missing_ok=True)
    print(found.words)
    return found.code


@contextmanager
def _alone(order: Path) -> Iterator[None]:
    """`up` asks while the clock does: of two preflights, the end of the second would order once more."""
    with order.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@dataclass(frozen=True)
class Proxy:
    """The proxy as it takes requests without TLS: `routes` is its dynamic directory, `address` and `port` where it listens."""

    routes: Path
    address: str
    port: int
    host: str

    @contextmanager
    def routed(self, route: Route) -> Iterator[str]:
        """The route is there; gives in words how somebody else still answers, empty if the proxy does."""
        path = self.routes / f"{route.name}.toml"
        _replace(path, route.route)
        try:
            deadline = time.monotonic() + _WITHIN
            while True:
                try:
                    answered = route.answer(self.address, self.host, self.port)
                except OSError as error:
                    answered = f"({error})"
                if not answered or time.monotonic() > deadline:
                    break
                time.sleep(_STEP)
            yield answered
        finally:
            path.unlink()

    @contextmanager
    def showing(self, token: str, content: str) -> Iterator[None]:
        """The proxy answers a challenge. Raises OSError if it does not."""
        file = self.routes / SHOWN / token
        file.parent.mkdir(exist_ok=True)
        file.write_text(content)
        try:
            with self.routed(Shown(token, content)) as wrong:
                if wrong:
                    raise OSError(
                        f"the proxy does not show the challenge at port {self.port} of {self.address} {wrong}"
                    )
                yield
        finally:
            file.unlink()


def _preflight(proxy: Proxy, server: str, servers: str) -> Found:
    """With a route that this proxy alone has. Nothing where `servers` says so."""
    if servers == NOBODY:
        return Found()
    # Of runs that were ended.
    for left in (*proxy.routes.glob("preflight-*.toml"), *proxy.routes.glob(f"{SHOWN}/*")):
        left.unlink()
    try:
        asked = preflight.resolver(servers)
    except DNSException as error:
        return Found(doubtful=(f"this machine has no name server to ask: {error}",))
    token = Token()
    with proxy.routed(token) as wrong:
        if wrong:
            return Found(refused=(f"the proxy does not answer at port {proxy.port} of {proxy.address} {wrong}",))
        return preflight.look(proxy.host, server, token, asked, datetime.now(UTC), proxy.port)


def _remembered(path: Path, order: str) -> State:
    """What is known of this order; nothing of another one's. The hub can write there too."""
    try:
        found = State(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        found = State()
    return found if found.order == order else State(order=order)


def _replace(path: Path, text: str) -> None:
    """The proxy reads every .toml of the folder as it comes, and must not read half a file."""
    new = path.with_name(f".{path.name}.new")
    new.write_text(text)
    os.replace(new, path)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
