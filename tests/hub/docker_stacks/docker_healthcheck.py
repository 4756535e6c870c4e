#!/usr/bin/env python
"""Asks the server for its version, at the address that it wrote down itself."""

import json
import os
import urllib.request
from pathlib import Path

runtime = Path("/home", os.environ["NB_USER"], ".local/share/jupyter/runtime")
url = json.loads(next(runtime.glob("*server-*.json")).read_text())["url"]
urllib.request.urlopen(f"{url}api", timeout=1)
