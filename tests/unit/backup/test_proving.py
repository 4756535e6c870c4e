"""What a trial of a server calls a failure of its kernel."""

from __future__ import annotations

import asyncio
import importlib
from pathlib import Path
from typing import Any

import pytest

from tests import hub_modules

with hub_modules.importable():
    proving = importlib.import_module("backup.proving")


class Socket:
    """A kernel's websocket, on which these messages come."""

    def __init__(self, *messages: dict[str, Any]) -> None:
        self._left = list(messages)

    async def receive_json(self) -> dict[str, Any]:
        return self._left.pop(0)


def message(kind: str, of: str = "mine", **content: str) -> dict[str, Any]:
    return {"msg_type": kind, "parent_header": {"msg_id": of} if of else {}, "content": content}


def printed(*messages: dict[str, Any]) -> str:
    return str(asyncio.run(proving._printed(Socket(*messages), "mine")))


def test_a_cell_prints_until_its_kernel_is_idle() -> None:
    text = printed(
        message("status", execution_state="idle", of="another"),
        message("stream", text="a"),
        message("stream", text="of another", of="another"),
        message("stream", text="b\n"),
        message("status", execution_state="idle"),
    )
    assert text == "ab"


def test_a_kernel_that_dies_and_a_cell_that_fails_are_failures() -> None:
    with pytest.raises(proving.Failed, match="it dies each time"):
        printed(message("status", execution_state="dead", of=""))
    with pytest.raises(proving.Failed, match="no room"):
        printed(message("error", evalue="no room"))


def test_what_a_kernel_writes_goes_and_a_folder_that_takes_nothing_is_an_error(tmp_path: Path) -> None:
    def write(*folders: Path) -> None:
        exec(proving._WRITE.replace("FOLDERS", repr([str(one) for one in folders])), {})

    write(tmp_path)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(OSError, match="full"):
        write(tmp_path, Path("/proc/full"))
