"""Runs in the network namespace of the engine's host, with NET_ADMIN and nothing else.

One thread sets the kernel as the walls say, whenever a link or a rule changes. The other answers the hub, which can delay
nothing by asking. What was set stands without the guard: servers that run stay where they are.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import subprocess
import sys
import threading
from pathlib import Path

from contract.documents import DOOR_FILE, SERVER_MAC, Walls, from_bytes
from contract.mac_addresses import NETWORKS_MAC

from guard import rules
from guard.answers import Answers
from guard.kernel import Kernel, Port, link_events, mac_address, rule_events
from guard.names import Names
from guard.question import SOCKET

DOOR = SOCKET.with_name(DOOR_FILE)
BOOT = Path("/proc/sys/kernel/random/boot_id")
RESOLVERS = Path("/etc/resolv.conf")
# Seconds between two looks where nothing was heard.
LOOK_EACH = 5.0
_NFT = "/usr/sbin/nft"

log = logging.getLogger("guard")


class Stopped(Exception):
    """The engine stops this container."""


class Guard:
    """Isolates the ports of the bridge, and keeps the rules."""

    def __init__(self, walls: Walls, names: Names) -> None:
        self._walls, self._names = walls, names
        self._kernel = Kernel()
        self._wanted = self._standing = ""
        self._free: set[str] = set()

    def look(self) -> None:
        """All ports as they should be: hub and proxy free, every other one isolated. Then the rules."""
        ports = self._kernel.ports(self._walls.bridge)
        for port in ports:
            self._set(port)
        free = {address for port in ports if port.mac in self._walls.free for address in port.addresses}
        for address in free - self._free:
            self._kernel.forget(self._walls.bridge, address)
        self._free = free
        resolvers = rules.resolvers(RESOLVERS.read_text())
        gateway = mac_address(self._walls.bridge)
        wanted = rules.table(self._walls, free=free, resolvers=resolvers, names=self._names.found, gateway=gateway)
        if wanted != self._wanted:
            self._wanted = wanted
            self.load()

    def _set(self, port: Port) -> None:
        isolated = self._walls.ours or port.mac.startswith((SERVER_MAC, NETWORKS_MAC))
        isolated = isolated and port.mac not in self._walls.free
        if port.isolated == isolated:
            return
        try:
            self._kernel.isolate(port, isolated)
        except OSError as error:
            # It is gone already, or the next look tries again; nobody is told that it is isolated.
            log.warning("port %s: %s", port.name, error)
            return
        log.info("port %s (%s) is %s", port.name, port.mac or "no container yet", "isolated" if isolated else "free")

    def load(self) -> None:
        """Puts the rules in place of those that are there. Raises CalledProcessError."""
        subprocess.run([_NFT, "-f", "-"], input=self._wanted, text=True, check=True, capture_output=True)
        self._standing = self._listed()
        log.info("the rules of table %s are loaded", self._walls.table)
        self._note_door()

    def _note_door(self) -> None:
        """Tells the proxy that the door stands. After another boot the note counts for nothing."""
        if self._walls.door:
            DOOR.write_text(f"{BOOT.read_text().strip()} {self._walls.door.note}\n")
        else:
            DOOR.unlink(missing_ok=True)

    def repair(self) -> None:
        """Loads the rules again if somebody changed or removed them."""
        if self._listed() != self._standing:
            log.warning("the rules of table %s were changed from outside", self._walls.table)
            self.load()

    def stand(self) -> bool:
        return self._listed() == self._standing != ""

    def leave(self) -> None:
        """Removes the rules where no server is left that they hold. Others would be free without them."""
        # Not in the conversation that may have been cut.
        if not any(port.isolated for port in Kernel().ports(self._walls.bridge)):
            DOOR.unlink(missing_ok=True)
            subprocess.run([_NFT, "delete", "table", "inet", self._walls.table], check=False, capture_output=True)

    def _listed(self) -> str:
        """The table as the kernel has it, without its counters; empty if it is not there."""
        command = [_NFT, "--stateless", "list", "table", "inet", self._walls.table]
        return subprocess.run(command, text=True, check=False, capture_output=True).stdout


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="[%(levelname).1s %(asctime)s] %(message)s", stream=sys.stdout)
    walls = from_bytes(Walls, os.environ["WALLS"].encode())
    named, wake = os.pipe()
    names = Names(rules.host_names(walls), wake)
    guard = Guard(walls, names)
    # Before the first look: what happens meanwhile is looked at again.
    links, changes = link_events(), rule_events()
    signal.signal(signal.SIGTERM, stopped)
    try:
        guard.look()
        names.follow()
        threading.Thread(target=Answers(walls, guard.stand).serve, daemon=True).start()
        log.info("the guard keeps %s", walls.bridge)
        while True:
            heard, _, _ = select.select([links.fileno(), changes.fileno(), named], [], [], LOOK_EACH)
            for one in (links, changes):
                one.take()
            if named in heard:
                os.read(named, 1)
            guard.look()
            if changes.fileno() in heard:
                guard.repair()
    except Stopped:
        guard.leave()
    except subprocess.CalledProcessError as error:
        sys.exit(f"the engine's kernel takes no packet filter rules: {error.stderr.strip()}")
    except OSError as error:
        sys.exit(f"the guard cannot keep {walls.bridge}: {error}")


def stopped(*_: object) -> None:
    raise Stopped


if __name__ == "__main__":
    main()
