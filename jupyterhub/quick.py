"""Imports in three quarters of the time, for a process that imports much and once."""

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def imports() -> Iterator[None]:
    """Garbage collection is off during imports, and never looks at the modules later: they are no garbage. aiohttp does not
    read every certificate twice: it trusts the folder with the same ones, where OpenSSL looks when it verifies one.
    """
    before = os.environ.get("SSL_CERT_FILE")
    os.environ["SSL_CERT_FILE"] = os.devnull
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
        del os.environ["SSL_CERT_FILE"]
        if before is not None:
            os.environ["SSL_CERT_FILE"] = before
