"""The engine, as far as the filter lets the hub ask it."""

from docker import APIClient

from filter.question import SOCKET, VERSION


def client() -> APIClient:
    """A client for one thread. Asks nothing yet."""
    return APIClient(base_url=f"unix://{SOCKET}", version=VERSION)
