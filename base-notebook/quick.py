"""Imports in three quarters of the time, for a process that imports much and once."""

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def imports() -> Iterator[None]:
    """While it lasts nothing is looked through for garbage, as modules never are any, nor are they later. And aiohttp
    does not read every certificate twice: it trusts the folder of the same ones, which OpenSSL looks into when it verifies
    one.
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
