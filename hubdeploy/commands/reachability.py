"""Whether a browser would get the login page of this deployment: through the published port, TLS and the proxy to the hub.

For an engine elsewhere a short-lived container on its host's network asks. It changes nothing.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

from hubdeploy.blueprint.components import COMPONENTS, SPAWNER
from hubdeploy.commands import login_page
from hubdeploy.contract.documents import DEPLOYMENT_HEADER
from hubdeploy.engine import Engine
from hubdeploy.errors import NotReady
from hubdeploy.settings.declarations import Settings
from hubdeploy.tls.certificates import Pair

# A proxy takes up new routes at once; a slow machine gets this long.
_WITHIN = 15.0
_STEP = 0.1
# What stands for every address of a host leads to the host itself as well.
_LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}
# A login page, or the way to another one.
_GOOD = ("200", "302")


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


def trouble(engine: Engine, settings: Settings, pair: Pair | None) -> str:
    """What a browser would meet instead of the login page; empty if that comes. Without a pair any certificate will do."""
    address = _LOOPBACK.get(settings.bind_address, settings.bind_address)
    where = f"{address} port {settings.hub_port}"
    answer = _ask(engine, settings, address)
    if "error" in answer:
        return f"nobody answers with TLS at {where}: {answer['error']}"
    if pair and answer["certificate"] != pair.fingerprint:
        return f"another certificate than this deployment's is served at {where}"
    if answer["status"] not in _GOOD:
        return f"the proxy at {where} answers {answer['status']}: it does not reach the hub"
    if answer["deployment"] != settings.name:
        other = answer["deployment"] or "without a name"
        return f"the hub that answers at {where} is another one: {other}"
    # A hub leads every request to its own path. The page of another login, such as GitHub's, has a whole URL.
    if answer["location"].startswith("/") and not answer["location"].startswith(f"{settings.hub_path}hub/"):
        return (
            f"the hub at {where} does not answer below HUB_PATH={settings.hub_path}: it leads to {answer['location']}"
        )
    return ""


def _ask(engine: Engine, settings: Settings, address: str) -> dict[str, str]:
    asked = (settings.hub_host, settings.hub_path, DEPLOYMENT_HEADER)
    if engine.local:
        return login_page.ask(address, settings.hub_port, *asked)
    image = next(one.image_reference(settings) for one in COMPONENTS if one.role == SPAWNER)
    program = Path(login_page.__file__).read_text(encoding="utf-8")
    command = ("python3", "-c", program, address, str(settings.hub_port), *asked)
    output = engine.run_once(image, command, deployment=settings.name, within=20.0, entrypoint=False, network="host")
    try:
        answer: dict[str, str] = json.loads(output.splitlines()[-1])
    except (ValueError, IndexError):
        return {"error": f"the container that asks for it printed: {output[-200:]}"}
    return answer
