"""How the engine keeps the logs of containers, the same for components and users' servers. Data only.

The driver is named, not the engine's default: `./invoke logs` and the last words of a server read it, and it is bounded.
"""

from __future__ import annotations

DRIVER = "json-file"
# Docker's own default keeps every line for ever. A container's log is at most 30 MB.
OPTIONS = {"max-size": "10m", "max-file": "3"}
