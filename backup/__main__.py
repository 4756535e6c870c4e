"""`python3 -m backup take` or `list`, in a helper. It prints a line for operators; with `json` as well, lines of JSON instead.

Ends with 0 where all is well, with 1 where nothing was taken or files are missing.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from contract import backups
from contract.documents import Backup, from_bytes

from backup.restic import Failed, Restic
from backup.taking import SIZE, Taking

_MB = 10**6


def main(words: list[str], documents: Path = Path(backups.DOCUMENTS)) -> int:
    wanted = from_bytes(Backup, (documents / backups.WANTED).read_bytes())
    restic, is_json = Restic(wanted), "json" in words
    signal.signal(signal.SIGTERM, lambda number, frame: restic.end())
    try:
        if words[0] == "list":
            print(json.dumps({backups.RESULT: _listed(restic, documents)}))
            return 0
        receipt = Taking(wanted, restic, _tell if is_json else lambda said: None).run()
    except Failed as failed:
        print(failed, file=sys.stdout if not is_json else sys.stderr)
        return 1
    print(json.dumps({backups.RESULT: receipt}) if is_json else sentence(receipt))
    return 1 if receipt["missed"] else 0


def _tell(said: Mapping[str, Any]) -> None:
    print(json.dumps({backups.PROGRESS: said}), flush=True)


def _listed(restic: Restic, documents: Path) -> dict[str, Any]:
    """Snapshots, and the receipt of the last run."""
    file = documents / backups.RECEIPT
    last = json.loads(file.read_text()) if file.exists() else None
    snapshots = [
        {"id": one["short_id"], "time": one["time"], "bytes": _size(one.get("tags") or ())}
        for one in restic.snapshots()
    ]
    return {"snapshots": snapshots, "last": last}


def _size(tags: Sequence[str]) -> int:
    return next((int(tag.removeprefix(SIZE)) for tag in tags if tag.startswith(SIZE)), 0)


def sentence(receipt: Mapping[str, Any]) -> str:
    """One line that says what was done."""
    line = (
        f"snapshot {receipt['snapshot'][:8]} of {time.strftime('%Y-%m-%d %H:%M', time.localtime(receipt['at']))}: "
        f"{receipt['volumes']} volumes, {receipt['bytes'] / _MB:.0f} MB, "
        f"{receipt['added'] / _MB:.1f} MB of it new, {receipt['seconds']:.0f} s"
    )
    missed = len(receipt["missed"])
    return f"{missed} files could not be read, such as {receipt['missed'][0]}; {line}" if missed else line


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
