"""Ends with 0 if the hub answers the proxy, else with 1. Needs nothing outside the standard library."""

import http.client
import json
import sys
import urllib.parse
from pathlib import Path

HERE = Path(__file__).parent


def main() -> int:
    hub = json.loads((HERE / "documents" / "contract.json").read_text())["hub"]
    front = urllib.parse.urlsplit(hub["front_url"])
    connection = http.client.HTTPConnection(front.hostname, front.port, timeout=4)
    try:
        connection.request("GET", f"{hub['base_url']}hub/health")
        return 0 if connection.getresponse().status == 200 else 1
    except OSError as error:
        print(f"the hub does not answer: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
