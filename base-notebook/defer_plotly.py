"""Puts deferred/plotly.js in front of plotly's extension of JupyterLab: `python defer_plotly.py ORIGINAL STAND_IN SCRIPT`.

ORIGINAL is the extension's folder, STAND_IN a folder of its name that JupyterLab finds first. Both serve one address, so the
stand-in finds the original's files beside its own. Does nothing without plotly, and for an older one, which does more.
"""

import hashlib
import json
import sys
from pathlib import Path

NAME = "jupyterlab-plotly"


def main() -> None:
    original, stand_in, script = map(Path, sys.argv[1:])
    package = original / "package.json"
    if not package.is_file():
        return
    found = json.loads(package.read_text())
    build = found["jupyterlab"]["_build"]
    if found["name"] != NAME or set(build) != {"load", "mimeExtension"}:
        return
    text = script.read_text().replace('"ORIGINAL"', json.dumps(Path(build["load"]).name))
    load = f"static/remoteEntry.{hashlib.sha256(text.encode()).hexdigest()[:16]}.js"
    (stand_in / "static").mkdir(parents=True)
    (stand_in / load).write_text(text)
    own = {"mimeExtension": True, "_build": {"load": load, "mimeExtension": build["mimeExtension"]}}
    described = {key: found[key] for key in ("name", "version", "description") if key in found}
    (stand_in / "package.json").write_text(json.dumps({**described, "jupyterlab": own}))


if __name__ == "__main__":
    main()
