"""The one request that the clock may make: a job by its name. The filter makes its container, waits for its end and tells
what it found.
"""

from __future__ import annotations

import asyncio
import json
from http import HTTPStatus

from contract import jobs
from contract.documents import Job, Jobs

from filter.engine import Answer, Engine
from filter.reading import Refused
from filter.table import Asked, Row, Side, message

# Characters of what a job printed last.
LONGEST = 2000


class Desk(Side):
    """What is known of jobs: their templates, and which of them run."""

    def __init__(self, engine: Engine, made_from: Jobs) -> None:
        self.engine, self.made_from = engine, made_from
        self._running: set[str] = set()

    async def run(self, asked: Asked) -> Answer:
        """Whether all is well (`well`), and the last line that the job printed (`words`)."""
        job = next((one for one in self.made_from.jobs if one.name == asked.place), None)
        if job is None:
            raise Refused("no such job")
        if job.name in self._running:
            return message(HTTPStatus.CONFLICT, f"the job {job.name} runs already")
        self._running.add(job.name)
        try:
            well, words = await self._run(job)
        finally:
            self._running.remove(job.name)
        return Answer(HTTPStatus.OK, json.dumps({"well": well, "words": words}).encode())

    async def _run(self, job: Job) -> tuple[bool, str]:
        name = jobs.container_name(self.made_from, job)
        await self._remove(name)
        made = await self.engine.ask("POST", "/containers/create", {"name": name}, jobs.creation(self.made_from, job))
        if not made.found:
            return False, f"the engine does not make its container: {made.content['message']}"
        try:
            started = await self.engine.ask("POST", f"/containers/{name}/start")
            if not started.found:
                return False, f"the engine does not start its container: {started.content['message']}"
            try:
                async with asyncio.timeout(job.within):
                    ended = await self.engine.ask("POST", f"/containers/{name}/wait", within=job.within + 1)
            except TimeoutError:
                return False, f"it took longer than {job.within} s"
            return ended.content["StatusCode"] == 0, await self._last_line(name)
        finally:
            await self._remove(name)

    async def _last_line(self, name: str) -> str:
        log = await self.engine.ask("GET", f"/containers/{name}/logs", {"stdout": "1", "stderr": "1", "tail": "20"})
        lines = log.body.decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "it printed nothing")[-LONGEST:]

    async def _remove(self, name: str) -> None:
        """A container of that name, if it is a job's: of one that runs no more, nobody waits for its end."""
        found = await self.engine.ask("GET", f"/containers/{name}/json")
        if found.found and jobs.carried(self.made_from).items() <= (found.content["Config"]["Labels"] or {}).items():
            await self.engine.ask("DELETE", f"/containers/{name}", {"v": "1", "force": "1"})


ROWS = (Row("POST", "/jobs/([a-z-]{1,64})", Desk.run),)
