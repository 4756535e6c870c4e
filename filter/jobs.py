"""The one request that the clock may make: a job by its name. The filter makes its container, waits for its end and tells
what it found.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Mapping
from http import HTTPStatus

from contract import jobs
from contract.documents import UNDER_WAY, Job, Jobs

from filter.engine import Answer, Away, Engine
from filter.reading import Refused
from filter.table import Asked, Row, Side, message

# Characters of what a job printed last; how many lines of it are read, and of a measure, which prints two for each volume.
LONGEST, LAST_LINES, MEASURED_LINES = 2000, 20, 5000
_FRAME = 8


class Desk(Side):
    """What is known of jobs: their templates, and which of them run."""

    def __init__(self, engine: Engine, made_from: Jobs) -> None:
        self.engine, self.made_from = engine, made_from
        self._running: set[str] = set()
        self._measuring = asyncio.Lock()

    async def run(self, asked: Asked) -> Answer:
        """The exit code of the job's program (`code`), and the last line that it printed (`words`). Of one that could not run, or
        took too long, the code is 1."""
        job = next((one for one in self.made_from.jobs if one.name == asked.place), None)
        if job is None:
            raise Refused("no such job")
        if job.name in self._running:
            return message(HTTPStatus.CONFLICT, f"the job {job.name} runs already")
        self._running.add(job.name)
        try:
            code, words = await self._run(job)
        finally:
            self._running.remove(job.name)
        return Answer(HTTPStatus.OK, json.dumps({"code": code, "words": words}).encode())

    async def _run(self, job: Job) -> tuple[int, str]:
        code, lines = await self._ended(job, LAST_LINES)
        words = next((line.strip() for line in reversed(lines.split("\n")) if line.strip()), "it printed nothing")
        return code, words[-LONGEST:]

    async def measured(self, volumes: Collection[str], folders: Mapping[str, str]) -> dict[str, tuple[int, int]]:
        """Bytes and files of all users' volumes, of `volumes` and of `folders` of the engine's host (name -> path); what took too
        long is missing. Raises Away if nobody can look."""
        job = next(one for one in self.made_from.jobs if one.name == jobs.GROWTH)
        async with self._measuring:
            code, lines = await self._ended(job, MEASURED_LINES, volumes, folders)
        found: dict[str, list[int]] = {}
        for line in lines.split("\n"):
            if measured := jobs.MEASURED.fullmatch(line):
                found.setdefault(measured[2], []).append(int(measured[1]))
        if not found:
            raise Away(f"what takes the disk cannot be measured: it ended with {code}: {lines[-LONGEST:]}")
        return {name: (numbers[0], numbers[1]) for name, numbers in found.items() if len(numbers) == 2}

    async def _ended(
        self, job: Job, lines: int, volumes: Collection[str] = (), folders: Mapping[str, str] | None = None
    ) -> tuple[int, str]:
        """A job's exit code, and so many of the last lines that it printed; where it could not run, 1 and why."""
        name = jobs.container_name(self.made_from, job)
        if job.users_at and await self._runs(name):
            return UNDER_WAY, "somebody began it by hand, and it runs"
        await self._remove(name)
        log = await self._log(job.reads_log, 200) if job.reads_log else ""
        users = sorted({*await self._users(), *volumes}) if job.users_at else ()
        made = await self.engine.ask(
            "POST", "/containers/create", {"name": name}, jobs.creation(self.made_from, job, log, users, folders)
        )
        if not made.found:
            return 1, f"the engine does not make its container: {made.content['message']}"
        try:
            started = await self.engine.ask("POST", f"/containers/{name}/start")
            if not started.found:
                return 1, f"the engine does not start its container: {started.content['message']}"
            try:
                async with asyncio.timeout(job.within):
                    ended = await self.engine.ask("POST", f"/containers/{name}/wait", within=job.within + 1)
            except TimeoutError:
                return 1, f"it took longer than {job.within} s"
            return ended.content["StatusCode"], await self._log(name, lines)
        finally:
            await self._remove(name)

    async def _runs(self, name: str) -> bool:
        found = await self.engine.ask("GET", f"/containers/{name}/json")
        return found.found and found.content["State"]["Running"]

    async def _users(self) -> set[str]:
        """The volumes of all users."""
        found = await self.engine.ask("GET", "/volumes")
        there = {one["Name"]: one["Labels"] or {} for one in found.content["Volumes"] or ()} if found.found else {}
        return {name for name, carried in there.items() if jobs.is_users(self.made_from, name, carried)}

    async def _log(self, container: str, lines: int) -> str:
        """The last lines that it printed; empty if there is no such container."""
        query = {"stdout": "1", "stderr": "1", "tail": str(lines)}
        found = await self.engine.ask("GET", f"/containers/{container}/logs", query)
        return unframed(found.body).decode(errors="replace") if found.found else ""

    async def _remove(self, name: str) -> None:
        """A container of that name, if it is a job's: of one that runs no more, nobody waits for its end."""
        found = await self.engine.ask("GET", f"/containers/{name}/json")
        if found.found and jobs.carried(self.made_from).items() <= (found.content["Config"]["Labels"] or {}).items():
            await self.engine.ask("DELETE", f"/containers/{name}", {"v": "1", "force": "1"})


def unframed(body: bytes) -> bytes:
    """A log without the engine's frames: 8 bytes before each piece, of which the last four are its length."""
    pieces = []
    while len(body) >= _FRAME:
        end = _FRAME + int.from_bytes(body[4:_FRAME], "big")
        pieces.append(body[_FRAME:end])
        body = body[end:]
    return b"".join(pieces)


ROWS = (Row("POST", "/jobs/([a-z-]{1,64})", Desk.run),)
