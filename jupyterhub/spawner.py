"""Starts users' servers: DockerSpawner, made quick, hardened, and able to say why a server did not start.

A server of our own images runs as NB_UID without a capability; only a server that may use sudo, and one of a
foreign image, starts as root, with the few capabilities its start script needs to drop to the user. It never
pulls an image and never mounts a path of the host. The module is a little long: JupyterHub wants a spawner in one class.
"""

import asyncio
import hashlib
import html
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from pathlib import PurePosixPath
from typing import Any, ClassVar

import assets
import events
from contract import labels, logs
from contract.documents import SERVER_MAC
from docker import APIClient
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.types import LogConfig
from docker.utils import decode_json_header
from dockerspawner import DockerSpawner
from ends import End, Events, end, last_words
from tornado.web import HTTPError
from traitlets import Bool, Dict, Int, Set, Unicode

from guard import question

# What a start script needs to rename the user and drop to it, and what `sudo apt-get install` needs then. KILL: init and
# sudo stay root and must pass the stop signal on; without it the server and its kernels are killed, not stopped.
ROOT_CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "SETUID", "SETGID", "KILL", "AUDIT_WRITE")
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
# Seconds of start_timeout that the wait leaves for the other steps, so that our message comes before the hub's.
TIMEOUT_MARGIN = 5
# Seconds of start_timeout that an ordinary start leaves for a safe one after it.
SAFE_START_WITHIN = 60
# A tmpfs in each server: sockets and the like, which must not fill a home, nor be missing in a full one.
RUNTIME_DIRECTORY = "/run/notebook"
# The number of the group `users`, in every Debian and Ubuntu, and in docker-stacks.
USERS = 100
# Where the home's volume lies in a safe start that cannot use it as the home.
ASIDE = "my-home"
# What a start with the option {SAFE_START: True} is.
SAFE_START = "safe_start"


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


def process_options(*, ours: bool, sudo: bool, nb_uid: int) -> dict[str, Any]:
    """`user` of the container, and `cap_drop`, `cap_add`, `security_opt` of its host config."""
    starts_as_root = sudo or not ours
    return {
        "user": "0" if starts_as_root else str(nb_uid),
        "cap_drop": ["ALL"],
        "cap_add": list(ROOT_CAPABILITIES) if starts_as_root else [],
        # sudo is a set-uid program: this very option would stop it
        "security_opt": [] if sudo else ["no-new-privileges"],
    }


def start_environment(
    *, ours: bool, sudo: bool, nb_user: str, nb_uid: int, notebook_dir: str, fills_home: bool
) -> dict[str, str]:
    """The start script's environment: sudo or not; for a foreign image also the new name of its user. `fills_home`: the
    engine puts what the image has in the home there, with the numbers of the image's user."""
    environment = {"JUPYTER_RUNTIME_DIR": f"{RUNTIME_DIRECTORY}/runtime"} | ({"GRANT_SUDO": "yes"} if sudo else {})
    if not ours:
        environment |= {
            "NB_USER": nb_user,
            "NB_UID": str(nb_uid),
            "CHOWN_HOME": "yes",
            # the engine makes the mount point and the folders above it as root, and CHOWN_HOME is not recursive
            "CHOWN_EXTRA": ",".join(folders_below_home(nb_user, notebook_dir)),
            # root hands over what has the name, never what a link in the home leads to
            "CHOWN_HOME_OPTS": f"{'--recursive ' if fills_home else ''}--no-dereference",
            "CHOWN_EXTRA_OPTS": "--no-dereference",
        }
    return environment


def folders_below_home(nb_user: str, notebook_dir: str) -> list[str]:
    """The notebook directory and every folder between it and the user's home, outermost first."""
    home, path = PurePosixPath("/home", nb_user), PurePosixPath(notebook_dir)
    return [str(folder) for folder in reversed([path, *path.parents]) if home in folder.parents]


def unformatted(text: str) -> str:
    """`text` with its braces doubled: DockerSpawner runs str.format over it, which gives `text` again."""
    return text.replace("{", "{{").replace("}", "}}")


class ServerSpawner(DockerSpawner):  # type: ignore[misc]  # dockerspawner has no types
    """One user's server, in a container of its own."""

    ours = Bool(True, config=True, help="The image is one of the deployment's own.")
    grant_sudo = Bool(False, config=True, help="Every server may use sudo.")
    sudo_users = Set(Unicode(), config=True, help="Users whose servers may use sudo.")
    nb_user = Unicode(config=True, help="User that the server runs as.")
    nb_uid = Int(config=True, help="UID that the server runs as.")
    pids_limit = Int(config=True, help="Most processes and threads of one server.")
    marks_servers = Bool(False, config=True, help="Servers get a MAC address by which the guard knows them.")
    labels = Dict(Unicode(), key_trait=Unicode(), config=True, help="Labels of each server's container.")

    # The container's id; DockerSpawner sets it.
    object_id: str
    # Why this start is a safe one, as a sentence; empty for an ordinary one.
    _safe_because = ""
    # A safe start mounts the home's volume beside the home.
    _home_aside = False
    # The home's volume is made with the container.
    _home_is_new = False
    # The address of the files that the hub serves for the server's image.
    _assets = ""
    # User -> how their last server ended by itself, until their next one starts.
    _ends: ClassVar[dict[str, str]] = {}
    # All spawners share it; the first server that runs makes it.
    _end_watch: ClassVar[events.EndWatch | None] = None
    # The container that is watched.
    _watched = ""

    # DockerSpawner queues the calls of all users on one thread. Here are several, each with its own APIClient.
    _executor = ThreadPoolExecutor(max_workers=8, thread_name_prefix="docker")
    _of_thread = threading.local()

    @property
    def client(self) -> APIClient:
        """This thread's own client of the engine."""
        client: APIClient | None = getattr(self._of_thread, "client", None)
        if client is None:
            client = self._of_thread.client = APIClient(version="auto")
        return client

    @staticmethod
    def end_of_server(user: str) -> str:
        """How the user's server ended by itself, for the page that offers to start another; empty if it did not."""
        return ServerSpawner._ends.get(user, "")

    @property
    def may_sudo(self) -> bool:
        return self.grant_sudo or self.user.name in self.sudo_users

    @property
    def home(self) -> str:
        return f"/home/{self.nb_user}"

    @property
    def _process(self) -> dict[str, Any]:
        return process_options(ours=self.ours, sudo=self.may_sudo, nb_uid=self.nb_uid)

    def get_env(self) -> dict[str, str]:
        environment: dict[str, str] = super().get_env()
        environment |= {"HUB_ASSETS": self._assets} if self._assets else {}
        environment |= start_environment(
            ours=self.ours,
            sudo=self.may_sudo,
            nb_user=self.nb_user,
            nb_uid=self.nb_uid,
            notebook_dir=self.notebook_dir,
            fills_home=self._home_is_new,
        )
        if self._safe_because:
            # home.py of our images does the rest
            environment |= {"NOTEBOOK_SAFE_START": self._safe_because, "JUPYTERHUB_ROOT_DIR": self.home}
        return environment

    @property
    def mount_binds(self) -> list[dict[str, Any]]:
        """The volumes. A safe start of a foreign image, and one past a link in the home, has an empty home instead of the
        user's, which is a folder in it then."""
        mounts: list[dict[str, Any]] = super().mount_binds
        if self._safe_because and self._home_aside:
            for mount in mounts:
                if mount["Target"] == self.home:
                    mount["Target"] = f"{self.home}/{ASIDE}"
        return mounts

    @property
    def mac_address(self) -> str:
        """The same for all servers of a user, so that a switch learns it once."""
        return (
            bytes.fromhex(SERVER_MAC.replace(":", "")) + hashlib.sha256(self.container_name.encode()).digest()[:4]
        ).hex(":")

    def create_options(self) -> dict[str, Any]:
        """Arguments of the container's creation that depend on the user."""
        options = self._process
        carried = {**self.labels, labels.USER: self.user.name, labels.SUDO: "yes" if self.may_sudo else "no"}
        marked = {"mac_address": self.mac_address} if self.marks_servers else {}
        return {
            **marked,
            "user": options["user"],
            "labels": {key: unformatted(value) for key, value in carried.items()},
            # a foreign image has its own, and a kernel without a path would start there
            "working_dir": self.notebook_dir,
            # the hub asks servers itself; docker-stacks' own check costs a core for nine idle servers
            "healthcheck": {"test": ["NONE"]},
        }

    def host_options(self) -> dict[str, Any]:
        """The parts of the host config that depend on the user or have no setting in DockerSpawner."""
        options = self._process
        del options["user"]
        options["pids_limit"] = self.pids_limit
        options["tmpfs"] = {RUNTIME_DIRECTORY: f"uid={self.nb_uid},gid={USERS},mode=0700,size=64m"}
        options["log_config"] = LogConfig(type=logs.DRIVER, config=logs.OPTIONS)
        # with it the engine would also remove the log that says why a server ended; see poll()
        options["auto_remove"] = False
        if self.mem_limit is not None:
            options["memswap_limit"] = self.mem_limit
            # /dev/shm, 64 MB by the engine's default; what lies in it counts as the server's memory
            options["shm_size"] = self.mem_limit
        return options

    async def start(self) -> tuple[str, int]:
        """Returns when the server accepts connections, so that the hub's first try succeeds.

        A server that failed is removed before the error goes to the hub. Else the hub would stop it, and meanwhile
        the hub's pages show no starting and no failed server.
        """
        self._stages: list[str] = []
        self._ends.pop(self.user.name, None)
        self._home_aside = not self.ours
        self._safe_because = "You asked for it." if self.user_options.get(SAFE_START) is True else ""
        if self._safe_because:
            # the hub keeps the options of a start for the next one, and undoes what is not committed
            self.orm_spawner.user_options = {}
            self.db.commit()
        deadline = time.monotonic() + self.start_timeout - TIMEOUT_MARGIN
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
            await self._wait_until_rules_stand()
            address, port = await self._start_container()
            self._stage("Waiting for JupyterLab to answer")
            # soon said, as the server's own start takes longer
            await self._wait_until_isolated()
            await self._wait_until_it_answers(address, port, deadline)
        except ServerFailed as failure:
            self._log_message(failure.end.for_operator, logging.ERROR)
            await self._remove_if_any()
            raise
        return address, port

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
        return assets.SERVED.take(self.client, self.image, self.labels)

    async def _start_container(self) -> tuple[str, int]:
        try:
            place: tuple[str, int] = await super().start()
        except ImageNotFound as error:
            fix = f"The image {self.image} is not on this host; `./invoke up` gets it."
            raise ServerFailed(End("The server has no image.", ASK_OPERATOR, fix)) from error
        except APIError as error:
            refusal = End("The engine refused to start the server.", ASK_OPERATOR, str(error.explanation))
            raise ServerFailed(refusal) from error
        return place

    async def create_object(self) -> dict[str, Any]:
        self._stage("Creating the container")
        if not self.ours:
            self._home_is_new = await self._has_no_home()
        created: dict[str, Any] = await super().create_object()
        return created

    async def _has_no_home(self) -> bool:
        for mount in self.mount_binds:
            if mount["Target"] == self.home:
                try:
                    await self.docker("inspect_volume", mount["Source"])
                except NotFound:
                    return True
        return False

    async def start_object(self) -> None:
        if self._process["user"] == "0":
            await self._refuse_links()
        self._stage("Starting the container")
        await super().start_object()

    async def _refuse_links(self) -> None:
        """A link in the home, where the notebook directory's volume belongs, would lead the engine to put the user's files
        into a folder of the system, which root reads before it drops to the user."""
        target = await asyncio.wrap_future(
            self._executor.submit(link_target, self.client, self.object_id, self.notebook_dir)
        )
        if target:
            self._home_aside = True
            raise ServerFailed(End(f"{self.notebook_dir} is a link to {target}.", by_home=True))

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
            carried = {key: self.labels[key] for key in (labels.DEPLOYMENT, labels.ROLE)}
            ServerSpawner._end_watch = events.EndWatch(partial(APIClient, version="auto"), carried)
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

    async def poll(self) -> int | str | None:
        """None while the server runs. A server that exited is removed; the end of its log goes into the hub's log."""
        # One at a time: a second one would find the container half removed, and its log gone.
        async with self._ending:
            if not self.object_id:
                return 0
            status: int | str | None = await super().poll()
            if status is not None and self.object_id:
                container = await self.get_object()
                ended = await self._ended(container["State"]) if container else REMOVED
                self._ends[self.user.name] = ended.for_user
                self._log_message(ended.for_operator, logging.WARNING)
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
            chown=self._chown_command() if self.ours else None,
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
        mount = next(one for one in self.mount_binds if one["Target"] == self.notebook_dir)
        volume = f"-v {mount['Source']}:{mount['Target']}"
        return f"docker run --rm --user 0 --entrypoint chown {volume} {self.image} -R {self.nb_uid}:users {mount['Target']}"

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
        shown = 0
        while True:
            stages = getattr(self, "_stages", [])
            for message in stages[shown:]:
                shown += 1
                yield {"progress": min(25 * shown, 90), "message": message}
            await asyncio.sleep(ANSWER_STEP)


def link_target(engine: APIClient, container: str, path: str) -> str:
    """What `path` is a link to in a container that need not run, its volumes mounted; empty if it is none. Raises APIError.

    By HEAD: docker-py has only the GET, which locks the container until all its files were read."""
    url = engine._url("/containers/{0}/archive", container)  # type: ignore[attr-defined]
    answer = engine.head(url, params={"path": path}, timeout=engine.timeout)
    engine._raise_for_status(answer)  # type: ignore[attr-defined]
    found = decode_json_header(answer.headers["X-Docker-Container-Path-Stat"])
    return str(found["linkTarget"])


async def accepts_connections(address: str, port: int) -> bool:
    """Whether something listens; a Jupyter server listens last, so it then answers too."""
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(address, port), timeout=1)
    except OSError:
        return False
    writer.close()
    return True
