"""A kernel as JupyterLab speaks with it: one websocket, in the binary form that Jupyter calls v1."""

from __future__ import annotations

import asyncio
import json
import struct
import uuid
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from aiohttp import ClientWebSocketResponse, WSMsgType

PROTOCOL = "v1.kernel.websocket.jupyter.org"
_PARTS = ("header", "parent_header", "metadata", "content")
# Of Jupyter's messages.
_VERSION = "5.2"


class KernelFailed(Exception):
    """What a cell or the kernel did instead, in words."""


def packed(channel: str, *parts: dict[str, Any]) -> bytes:
    """A message: how many offsets, the offsets, the channel, each part as JSON. Numbers have 64 bits, the lowest byte first."""
    pieces = [channel.encode(), *(json.dumps(one).encode() for one in parts)]
    offsets = [8 * (len(pieces) + 2)]
    for piece in pieces:
        offsets.append(offsets[-1] + len(piece))
    return struct.pack(f"<{len(offsets) + 1}Q", len(offsets), *offsets) + b"".join(pieces)


def unpacked(message: bytes) -> dict[str, Any]:
    """`channel` and the parts of a message; buffers are left out."""
    (count,) = struct.unpack_from("<Q", message)
    offsets = struct.unpack_from(f"<{count}Q", message, 8)
    pieces = [message[begin:end] for begin, end in pairwise(offsets)]
    found: dict[str, Any] = {"channel": pieces[0].decode()}
    return found | {name: json.loads(piece) for name, piece in zip(_PARTS, pieces[1:5], strict=True)}


class Kernel:
    """A running kernel, over a websocket that is open. `session` is the page's own id."""

    def __init__(self, socket: ClientWebSocketResponse, session: str) -> None:
        self._socket, self._session = socket, session

    async def greet(self, within: float) -> None:
        """What a notebook asks when it opens; returns when the kernel has said what it is."""
        wanted = await self._send("kernel_info_request", {})
        history = {"output": False, "raw": True, "hist_access_type": "tail", "n": 10}
        await self._send("history_request", history)
        debug = {"type": "request", "seq": 0, "command": "debugInfo"}
        await self._send("debug_request", debug, channel="control")
        await self._send("comm_info_request", {"target_name": "jupyter.widget"})
        await self._until(wanted, "kernel_info_reply", within)

    async def run(self, code: str, within: float) -> None:
        """Returns when the cell has run and all its output is there. Raises KernelFailed."""
        content = {
            "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": True, "stop_on_error": True,
            "code": code,
        }  # fmt: skip
        about = {"trusted": True, "deletedCells": [], "recordTiming": False, "cellId": str(uuid.uuid4())}
        await self._until(await self._send("execute_request", content, about), "status", within)

    async def _send(
        self, kind: str, content: dict[str, Any], about: dict[str, Any] | None = None, channel: str = "shell"
    ) -> str:
        request = str(uuid.uuid4())
        header = {
            "date": datetime.now(UTC).isoformat(), "msg_id": request, "msg_type": kind, "session": self._session,
            "username": "", "subshell_id": None, "version": _VERSION,
        }  # fmt: skip
        await self._socket.send_bytes(packed(channel, header, {}, about or {}, content))
        return request

    async def _until(self, request: str, kind: str, within: float) -> None:
        try:
            async with asyncio.timeout(within):
                while True:
                    said = await self._receive()
                    if said["parent_header"].get("msg_id") != request:
                        continue
                    if said["header"]["msg_type"] == "error":
                        raise KernelFailed(f"a cell raised {said['content']['ename']}: {said['content']['evalue']}")
                    if said["header"]["msg_type"] != kind:
                        continue
                    if kind != "status" or said["content"]["execution_state"] == "idle":
                        return
        except TimeoutError:
            raise KernelFailed(f"the kernel did not answer within {within:.0f} s") from None

    async def _receive(self) -> dict[str, Any]:
        message = await self._socket.receive()
        if message.type is WSMsgType.BINARY:
            return unpacked(message.data)
        if message.type is WSMsgType.TEXT:
            found: dict[str, Any] = json.loads(message.data)
            return found
        raise KernelFailed("the connection to the kernel broke")
