"""Starts users' servers: DockerSpawner, made quick, and able to say why a server did not start.

What a server looks like to the engine is written in contract/servers.py, and the filter makes it: the spawner says whose
server it is. The module is a little long: JupyterHub wants a spawner in one class.
"""

import asyncio
import html
import logging
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, ClassVar

import assets
import choosing
import engine
import events
from contract import cards, labels, servers
from contract.documents import ServerKind, Servers
from contract.use import Use
from disk import DiskWatch
from docker import APIClient
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from dockerspawner import DockerSpawner
from ends import End, Events, end, last_words
from idle import IdleWatch, report_every
from notices import Notices
from seats import Left, Seats
from tornado.web import HTTPError
from traitlets import Dict, Instance, Unicode, default

from guard import question

ANSWER_STEP = 0.05
EXIT_CHECK_STEP = 0.25
# Lines of a server's log that are read for its last words, most of which may be about requests.
LOG_LINES = 200
REMOVED = End("The server was removed from outside.", "Start it again.", "Somebody removed its container.")
ASK_OPERATOR = "Tell the operator, and show them this page."
# Seconds in which the guard must say that a new server is isolated; its port is before the first instruction.
ISOLATED_WITHIN = 2.0
NO_WALLS = "The server could not be kept apart from others, so it was not started."
NO_GUARD = "The guard does not confirm it; see `./invoke status` and `./invoke logs --of guard`."
# Seconds in which the filter must answer.
FILTER_WITHIN = 5.0
NO_ENGINE = "The container engine could not be asked to start the server."
NO_FILTER = "The filter does not answer; see `./invoke status` and `./invoke logs --of filter`."
# What is left of a failed start while the filter is away is tried again each so many seconds, so many times.
LATER_STEP, LATER_TRIES = 2.0, 1800
# Seconds of start_timeout that the wait leaves for the other steps, so that our message comes before the hub's.
TIMEOUT_MARGIN = 5
# Seconds of start_timeout that an ordinary start leaves for a safe one after it.
SAFE_START_WITHIN = 60
# What a start with the option {SAFE_START: True} is, and the option that names the kind of server.
SAFE_START, KIND = "safe_start", "kind"


class ServerFailed(HTTPError):
    """A server did not start. JupyterHub logs it without a traceback, as any HTTPError, and shows the user its
    `jupyterhub_html_message`. `end` has the text of the hub's log."""

    def __init__(self, end: End) -> None:
        self.end = end
        self.jupyterhub_message = end.for_user
        reason, _, words = end.for_user.partition("\n")
        self.jupyterhub_html_message = f"<p>{html.escape(reason)}</p>"
        if words:
            self.jupyterhub_html_message += f"<pre>{html.escape(words)}</pre>"
        super().__init__(500, self.jupyterhub_message)

    def __str__(self) -> str:
        return self.jupyterhub_message


class ServerSpawner(DockerSpawner):  # type: ignore[misc]  # dockerspawner has no types
    """One user's server, in a container of its own."""

    kinds = Instance(Servers, config=True, help="What the filter makes servers from.")
    labels = Dict(Unicode(), key_trait=Unicode(), config=True, help="Labels of the deployment.")

    # The container's id; DockerSpawner sets it.
    object_id: str
    # Why this start is a safe one, as a sentence; empty for an ordinary one.
    _safe_because = ""
    # The kind of server that runs, starts, or was started last.
    _kind = ""
    # The cards that seats lent it for this start; a hub that is new knows them by the container's label alone.
    cards: tuple[str, ...] = ()
    # What the page of this start has shown.
    _stages: list[str]
    # A safe start mounts the home's volume beside the home.
    _home_aside = False
    # The address of the files that the hub serves for the server's image.
    _assets = ""
    # User -> how their last server ended, if nobody asked for it, until their next one starts.
    _ends: ClassVar[dict[str, str]] = {}
    # User -> how many times their server was started, by this hub.
    _starts: ClassVar[Counter[str]] = Counter()
    # What still has to be removed.
    _removing: ClassVar[set[asyncio.Task[None]]] = set()
    # All spawners share it; the first server that runs makes it.
    _end_watch: ClassVar[events.EndWatch | None] = None
    # The container that is watched.
    _watched = ""
    # What the hub knows of the engine's disk; the hub's configuration makes it.
    disk_watch: ClassVar[DiskWatch | None] = None
    # What stops servers that nobody uses; the hub's configuration makes it.
    idle_watch: ClassVar[IdleWatch | None] = None
    # What lets servers start; the hub's configuration makes it.
    seats: ClassVar[Seats | None] = None
    # The messages to users; the hub's configuration makes them.
    notices: ClassVar[Notices | None] = None
    # Why the hub itself ended the server's container.
    _end_because: End | None = None
    # The server is made ready for a class, and nobody waits for it yet.
    is_prepared = False

    # DockerSpawner queues the calls of all users on one thread. Here are several, each with its own APIClient.
    _executor = ThreadPoolExecutor(max_workers=8, thread_name_prefix="docker")
    _of_thread = threading.local()

    @property
    def client(self) -> APIClient:
        """This thread's own client of the engine."""
        client: APIClient | None = getattr(self._of_thread, "client", None)
        if client is None:
            client = self._of_thread.client = engine.client()
        return client

    def __init__(self, **named: Any) -> None:
        super().__init__(**named)
        if self.user is not None:
            self._take_kind("")

    @property
    def kind(self) -> ServerKind:
        return self.kinds.kind_of_server(self.user.name, self._kind, self._groups)

    @property
    def _groups(self) -> frozenset[str]:
        """The user's groups, where a kind is for groups that the login names. The database is asked only then, as each look at a
        server asks for its kind."""
        if not any(kind.provider_groups for kind in self.kinds.kinds):
            return frozenset()
        return frozenset(group.name for group in self.user.groups)

    def _take_kind(self, name: str) -> None:
        self._kind = name
        kind = self.kind
        # The server reads its limits there. The filter sets them.
        self.image, self.mem_limit, self.cpu_limit = kind.image, kind.memory_limit, kind.cpu_limit

    def get_state(self) -> dict[str, Any]:
        return {**super().get_state(), KIND: self._kind}

    def load_state(self, state: dict[str, Any]) -> None:
        super().load_state(state)
        self._take_kind(str(state.get(KIND, "")))

    async def get_options_form(self) -> str:
        """Kinds to choose from; empty where there is nothing to choose."""
        there = self.kinds.kinds_of(self.user.name, self._groups)
        return choosing.form(there, self._remembered) if len(there) > 1 else ""

    def options_again(self) -> dict[str, str]:
        """The options of a start in which nobody chooses: the kind that was chosen last, if the user may still have it."""
        name = self._remembered
        return {KIND: name} if name and self.kinds.kind_for(self.user.name, name, self._groups) else {}

    @property
    def _remembered(self) -> str:
        """The kind that was chosen last, if it was chosen."""
        return str((self.orm_spawner.user_options or {}).get(KIND, ""))

    @default("options_from_form")
    def _options_from_form(self) -> Callable[[dict[str, list[str]]], dict[str, str]]:
        """Of a form or an address the kind alone."""

        def options(given: dict[str, list[str]]) -> dict[str, str]:
            name = next(iter(given.get(KIND, ())), self._remembered)
            return {KIND: name} if name else {}

        return options

    def _choose_kind(self) -> None:
        """Raises ServerFailed where the user may not have what was chosen; the next start has the first kind then."""
        name = str(self.user_options.get(KIND, ""))
        if self.kinds.kind_for(self.user.name, name, self._groups) is None:
            self.orm_spawner.user_options = {}
            self.db.commit()
            raise ServerFailed(
                End(f"The kind of server {name!r} is not there for you.", "Start again to get another kind.")
            )
        self._take_kind(name)

    @staticmethod
    def end_of_server(user: str) -> str:
        """How the user's server ended without being asked to, for the page that offers to start another; empty if it did not."""
        return ServerSpawner._ends.get(user, "")

    def get_env(self) -> dict[str, str]:
        environment: dict[str, str] = super().get_env()
        environment |= {"HUB_ASSETS": self._assets} if self._assets else {}
        if seconds := report_every(self.kind.idle_timeout):
            environment["JUPYTERHUB_ACTIVITY_INTERVAL"] = str(seconds)
        if self._safe_because:
            # home.py of our images does the rest
            environment |= {"NOTEBOOK_SAFE_START": self._safe_because, "JUPYTERHUB_ROOT_DIR": servers.home(self.kind)}
        return environment

    async def run_pre_spawn_hook(self) -> None:
        """Waits until the server's turn has come, however long that takes: JupyterHub's limit of time is for what comes after."""
        self._stages, self.cards = [], ()
        try:
            self._choose_kind()
            if self.seats:
                await self.seats.take(self)
        except (ServerFailed, Left) as ended:
            self._log_message(ended.end.for_operator)
            raise ServerFailed(ended.end) from None
        finally:
            self.is_prepared = False
        if self.seats:
            # Its age counts from now.
            self.orm_spawner.started = self.orm_spawner.last_activity = datetime.now(UTC).replace(tzinfo=None)
            self.db.commit()

    async def start(self) -> tuple[str, int]:
        """Returns when the server accepts connections, so that the hub's first try succeeds.

        A server that failed is removed before the error goes to the hub. Else the hub would stop it, and meanwhile
        the hub's pages show no starting and no failed server.
        """
        self._stages = []
        self._starts[self.user.name] += 1
        self._ends.pop(self.user.name, None)
        self._home_aside = not self.kind.ours
        self._safe_because = "You asked for it." if self.user_options.get(SAFE_START) is True else ""
        if self._safe_because:
            # the hub keeps the options of a start for the next one, and undoes what is not committed
            self.orm_spawner.user_options = {KIND: self._kind} if self._kind else {}
            self.db.commit()
        deadline = time.monotonic() + self.start_timeout - TIMEOUT_MARGIN
        if self.disk_watch:
            if refusal := self.disk_watch.why_none(self.user.name):
                raise ServerFailed(End(refusal, ASK_OPERATOR, "./invoke usage shows what takes the engine's disk."))
            self._safe_because = self._safe_because or await self.disk_watch.why_safe(self.user.name)
        await self._wait_until_filter_answers()
        self._assets = await asyncio.wrap_future(self._executor.submit(self._take_assets))
        if not self._safe_because:
            try:
                return await self._start_once(deadline - SAFE_START_WITHIN)
            except ServerFailed as failure:
                if not failure.end.by_home:
                    raise
                self._safe_because = f"The ordinary start failed. {failure.end.reason}"
            self._stage("The ordinary start failed; a safe start leaves settings and packages aside")
        return await self._start_once(deadline)

    async def _start_once(self, deadline: float) -> tuple[str, int]:
        """An ordinary start or a safe one, as `_safe_because` says. A server that failed is removed."""
        try:
            return await self._tried(deadline)
        except ServerFailed as failure:
            self._log_message(failure.end.for_operator, logging.ERROR)
            # The engine may have made a container of which the filter could not tell any more.
            left = failure.end.reason == NO_ENGINE
            try:
                await self._remove_if_any()
            except (DockerException, OSError) as error:
                self._log_message(f"it is removed as soon as the filter answers: {error}", logging.WARNING)
                self.object_id, left = "", True
            if left:
                self._remove_later()
            raise

    async def _tried(self, deadline: float) -> tuple[str, int]:
        try:
            await self._wait_until_rules_stand()
            address, port = await self._start_container()
            self._stage("Waiting for JupyterLab to answer")
            # soon said, as the server's own start takes longer
            await self._wait_until_isolated()
            await self._wait_until_it_answers(address, port, deadline)
        except (DockerException, OSError) as error:
            raise ServerFailed(End(NO_ENGINE, ASK_OPERATOR, f"{NO_FILTER} ({error})")) from error
        return address, port

    def _remove_later(self) -> None:
        """Removes what a failed start left, once the filter answers again. A later start does so itself."""
        start = self._starts[self.user.name]

        async def remove() -> None:
            for _ in range(LATER_TRIES):
                await asyncio.sleep(LATER_STEP)
                try:
                    left = await self.docker("inspect_container", self.object_name)
                    if start == self._starts[self.user.name]:
                        await self.docker("remove_container", left["Id"], v=True, force=True)
                    return
                except NotFound:
                    return
                except (DockerException, OSError):
                    continue

        task = asyncio.ensure_future(remove())
        self._removing.add(task)
        task.add_done_callback(self._removing.discard)

    async def _wait_until_filter_answers(self) -> None:
        """It is away for a moment while `up` replaces it. Raises ServerFailed if it stays away."""
        deadline = time.monotonic() + FILTER_WITHIN
        while True:
            try:
                await self.docker("ping")
            except (DockerException, OSError) as error:
                if time.monotonic() > deadline:
                    failed = End(NO_ENGINE, ASK_OPERATOR, f"{NO_FILTER} ({error})")
                    self._log_message(failed.for_operator, logging.ERROR)
                    raise ServerFailed(failed) from error
                await asyncio.sleep(ANSWER_STEP)
            else:
                return

    async def _wait_until_isolated(self) -> None:
        """Returns when the guard confirms the container, or it has ended, which others find out."""

        async def mac() -> str:
            container = await self.get_object() or {"State": {"Running": False}}
            running = container["State"]["Running"]
            return container["NetworkSettings"]["Networks"][self.network_name]["MacAddress"] if running else ""

        await self._wait_for_guard(mac, question.ISOLATED)

    async def _wait_until_rules_stand(self) -> None:
        async def rules() -> str:
            return question.RULES

        await self._wait_for_guard(rules, question.STAND)

    async def _wait_for_guard(self, about: Callable[[], Coroutine[Any, Any, str]], wanted: str) -> None:
        """Returns when the guard gives the wanted answer, or there is nothing to ask any more. Raises ServerFailed without
        it: nobody may be where others are not kept from them."""
        deadline = time.monotonic() + ISOLATED_WITHIN
        while asked := await about():
            try:
                answer = await asyncio.wrap_future(self._executor.submit(question.ask, asked))
            except OSError as error:
                answer = f"no answer: {error}"
            if answer == wanted:
                return
            if time.monotonic() > deadline:
                raise ServerFailed(End(NO_WALLS, ASK_OPERATOR, f"{NO_GUARD} ({asked}: {answer})"))
            await asyncio.sleep(ANSWER_STEP)

    def _take_assets(self) -> str:
        return assets.SERVED.take(self.client, self.image)

    async def _start_container(self) -> tuple[str, int]:
        try:
            place: tuple[str, int] = await super().start()
        except ImageNotFound as error:
            fix = f"The image {self.image} is not on this host; `./invoke up` gets it."
            raise ServerFailed(End("The server has no image.", ASK_OPERATOR, fix)) from error
        except APIError as error:
            why = str(error.explanation)
            refusal = End("The engine refused to start the server.", ASK_OPERATOR, why)
            if self.cards:
                why += f" (It was to have the card {' and '.join(self.cards)}; docs/servers.md says what that needs.)"
                refusal = End("The engine refused to start the server with its card (GPU).", ASK_OPERATOR, why)
            raise ServerFailed(refusal) from error
        return place

    async def create_object(self) -> dict[str, Any]:
        """Asks for the user's server. A safe start of a foreign image, and one past a link in the home, has an empty home
        instead of the user's, which is a folder in it then."""
        self._stage("Creating the container")
        aside = "yes" if self._safe_because and self._home_aside else "no"
        wish: dict[str, Any] = {
            "Env": [f"{name}={value}" for name, value in self.get_env().items()],
            "Labels": {labels.USER: self.user.name, labels.ASIDE: aside},
        }
        # A filter that is a moment older or newer than this hub knows the only kind by another name.
        if len(self.kinds.kinds) > 1:
            wish["Labels"][labels.KIND] = self.kind.name
        if self.cards:
            wish["Labels"][labels.CARDS] = cards.label(self.cards)
        created: dict[str, Any] = await self.docker("create_container_from_config", wish, self.container_name)
        return created

    async def start_object(self) -> None:
        self._stage("Starting the container")
        try:
            await super().start_object()
        except APIError as error:
            reason = str(error.explanation)
            if reason.startswith(servers.is_a_link(self.kind.notebook_dir)):
                self._home_aside = True
                raise ServerFailed(End(reason, by_home=True)) from error
            raise

    async def remove_object(self) -> None:
        """By force: a server that the hub lost track of may still run, and it has the name."""
        try:
            await self.docker("remove_container", self.object_id, v=True, force=True)
        except APIError as error:
            if error.status_code not in (404, 409):
                raise

    def start_polling(self) -> None:
        """Besides JupyterHub's own poll, the engine's word that the server ended polls at once."""
        super().start_polling()
        if ServerSpawner._end_watch is None:
            carried = {**self.labels, labels.ROLE: labels.SERVER}
            ServerSpawner._end_watch = events.EndWatch(engine.client, carried)
        self._watched = self.object_id
        ServerSpawner._end_watch.follow(self._watched, self.poll_and_notify)

    def stop_polling(self) -> None:
        super().stop_polling()
        if ServerSpawner._end_watch is not None:
            ServerSpawner._end_watch.forget(self._watched)

    @cached_property
    def _ending(self) -> asyncio.Lock:
        return asyncio.Lock()

    async def stop(self, now: bool = False) -> None:
        # A poll meanwhile would take the end that the hub itself brings about for one from outside.
        async with self._ending:
            await super().stop(now)

    async def end_because(self, because: End) -> None:
        """Ends the server at once, without a word to it, for a reason that its user and the operator shall read."""
        self._end_because = because
        await self.docker("stop", self.object_id, timeout=0)
        await self.poll_and_notify()

    def tell_end(self, ended: End, level: int) -> None:
        """What the user and the operator read of the server's end, until its next start."""
        self._ends[self.user.name] = ended.for_user
        self._log_message(ended.for_operator, level)

    async def processor_seconds(self) -> float:
        """What the server's container has taken of the processors since its start."""
        return (await self.use()).processor

    async def memory_taken(self) -> int:
        """Bytes of the host's memory that the server's container holds; the cache of files on disk does not count."""
        return (await self.use()).memory

    async def use(self) -> Use:
        """What the server's container takes. Raises KeyError where it does not run."""
        return Use.of(await self.docker("stats", self.object_id, stream=False, one_shot=True))

    async def freeze(self) -> None:
        """No process of the server runs until it is thawed."""
        await self.docker("pause", self.object_id)

    async def thaw(self) -> None:
        """Raises DockerException where it is not frozen."""
        await self.docker("unpause", self.object_id)

    async def poll(self) -> int | str | None:
        """None while the server runs. A server that exited is removed; the end of its log goes into the hub's log."""
        # One at a time: a second one would find the container half removed, and its log gone.
        async with self._ending:
            if not self.object_id:
                return 0
            status: int | str | None = await super().poll()
            if status is not None and self.object_id:
                container = await self.get_object()
                ended = self._end_because or (await self._ended(container["State"]) if container else REMOVED)
                self._end_because = None
                self.tell_end(ended, logging.WARNING)
                await self._remove_if_any()
            return status

    async def _remove_if_any(self) -> None:
        if self.object_id:
            await self.remove_object()
            self.object_id = ""

    async def _wait_until_it_answers(self, address: str, port: int, deadline: float) -> None:
        next_exit_check = 0.0
        while not (address and await accepts_connections(address, port)):
            if time.monotonic() >= next_exit_check:
                await self._fail_if_exited()
                next_exit_check = time.monotonic() + EXIT_CHECK_STEP
            if time.monotonic() >= deadline:
                reason = "The server did not answer in time."
                raise ServerFailed(End(reason, ASK_OPERATOR, last_words=last_words(await self._log()), by_home=True))
            await asyncio.sleep(ANSWER_STEP)

    async def _fail_if_exited(self) -> None:
        container = await self.get_object()
        if container is None:
            raise ServerFailed(End("The server's container was removed while it started.", "Start it again."))
        state = container["State"]
        if not state["Running"]:
            raise ServerFailed(await self._ended(state, starting=True))

    async def _ended(self, state: dict[str, Any], *, starting: bool = False) -> End:
        """How the server ended (`state` is the engine's), what can be done, and the end of its log."""
        return end(
            state,
            await self._events(state),
            await self._log(),
            starting=starting,
            memory=self.mem_limit,
            chown=self._chown_command() if self.kind.ours else None,
        )

    async def _events(self, state: dict[str, Any]) -> Events:
        def read() -> Events:
            return events.around_end(self.client, self.object_id, state)

        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, read)
        except (DockerException, OSError) as error:
            self._log_message(f"the engine's events cannot be read: {error}", logging.WARNING)
            return Events()

    def _chown_command(self) -> str:
        files = servers.volumes(self.kind, self.user.name)[-1]
        volume = f"-v {files.name}:{files.target}"
        owner = f"{self.kind.nb_uid}:users"
        return f"docker run --rm --user 0 --entrypoint chown {volume} {self.image} -R {owner} {files.target}"

    async def _log(self) -> str:
        """The end of the container's log."""
        try:
            log: bytes = await self.docker("logs", self.object_id, tail=LOG_LINES)
        except DockerException as error:
            return f"(no log: {error})"
        return log.decode(errors="replace")

    def _stage(self, message: str) -> None:
        self._stages.append(message)
        self._log_message(message)

    def _log_message(self, message: str, level: int = logging.INFO) -> None:
        """Writes into the hub's log. Each line names the user, so that `./invoke logs --user` finds it."""
        for line in message.splitlines():
            self.log.log(level, "server of %s: %s", self.user.name, line)

    async def progress(self) -> AsyncIterator[dict[str, Any]]:
        """What the page of a starting server shows; the hub ends this loop when the start is over."""
        shown, place = 0, ""
        while True:
            before, place = place, self.seats.place(self) if self.seats else ""
            if place and place != before:
                yield {"progress": 0, "message": place, "html_message": f"<span data-waits>{html.escape(place)}</span>"}
            stages = getattr(self, "_stages", [])
            for message in stages[shown:]:
                shown += 1
                yield {"progress": min(25 * shown, 90), "message": message}
            await asyncio.sleep(ANSWER_STEP)


async def accepts_connections(address: str, port: int) -> bool:
    """Whether something listens; a Jupyter server listens last, so it then answers too."""
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(address, port), timeout=1)
    except OSError:
        return False
    writer.close()
    return True
