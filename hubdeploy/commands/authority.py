"""The certificate that an authority signs: `up` has it ordered and waits for it; `status`, `plan` and `check-files` say how the
clock found it.
"""

from __future__ import annotations

import time

from hubdeploy.blueprint import draw, jobs
from hubdeploy.blueprint.components import clock
from hubdeploy.commands.display import Display
from hubdeploy.contract.documents import UNDER_WAY
from hubdeploy.engine import Engine
from hubdeploy.errors import NotReady
from hubdeploy.plan.snapshot import Snapshot
from hubdeploy.settings.declarations import Settings

# What a line of the clock's begins with that is about it.
LINE = f"{jobs.CERTIFICATE}: "
_STEP = 1.0
# The job itself gives up an order before.
_WITHIN = 150.0


def confirm(engine: Engine, settings: Settings, display: Display) -> None:
    """Raises NotReady unless browsers get a certificate that ACME_SERVER signed, within some minutes. The deployment is up either
    way, with the self-made one, and the clock goes on trying."""
    if settings.acme_email is None:
        return
    deadline = time.monotonic() + _WITHIN
    code, words = _asked(engine, settings)
    if code == UNDER_WAY:
        display.line(f"  .. waiting until {settings.acme_server} signs a certificate for {settings.hub_host}: {words}")
    while code == UNDER_WAY and time.monotonic() < deadline:
        time.sleep(_STEP)
        code, words = _asked(engine, settings)
    if code != 0:
        raise NotReady(
            wanted=f"a certificate for {settings.hub_host} from {settings.acme_server}",
            found=words,
            fix="see docs/going-public.md; the hub is up with a self-made certificate, and the clock orders again",
        )


def state(engine: Engine, settings: Settings, snapshot: Snapshot) -> str | None:
    """Who signed the certificate, for which names, and how long it is valid; or why there is none, and when the next order is.
    None without ACME_EMAIL."""
    if settings.acme_email is None:
        return None
    running = snapshot.containers.get(draw.container_name(settings, clock.ROLE))
    told = engine.health(running.name)[1].splitlines() if running and running.running else []
    found = next((words for line in told if (words := line.removeprefix(LINE)) != line), "none yet; up orders it")
    return f"certificate for {settings.hub_host}: {found}"


def _asked(engine: Engine, settings: Settings) -> tuple[int, str]:
    command = (jobs.PYTHON, "-m", "clock.asking", jobs.CERTIFICATE_NOW)
    return engine.run_in(draw.container_name(settings, clock.ROLE), command)
