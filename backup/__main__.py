"""`python3 -m backup take`, `daily`, `list`, `look` or `restore`, in a helper; for one who left `archive json USER` and
`bring-back json USER`. It prints a line for operators; with `json` as well, lines of JSON instead. `daily 03:00` takes none where
one was begun since that time of day came last. `take json new` makes another repository where the one of earlier runs is gone.

Ends with 0 where all is well, with 1 where nothing was done or files are missing.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from contract import backups, time_of_day
from contract.documents import Backup, Restore, from_bytes

from backup import returning
from backup.archive import Archive
from backup.restic import Failed, Restic
from backup.returning import Returning
from backup.taking import SIZE, Taking, tagged

_MB = 10**6


def main(words: list[str], documents: Path = Path(backups.DOCUMENTS)) -> int:
    is_json = "json" in words
    try:
        result = _done(words, documents, _tell if is_json else lambda said: None)
    except Failed as failed:
        print(failed, file=sys.stdout if not is_json else sys.stderr)
        return 1
    print(json.dumps({backups.RESULT: result}) if is_json else sentence(result))
    return 1 if result.get("missed") else 0


def _done(words: list[str], documents: Path, tell: Any) -> dict[str, Any]:
    word = words[0]
    if word in ("take", "daily", "list", "archive", "bring-back"):
        wanted = from_bytes(Backup, (documents / backups.WANTED).read_bytes())
        restic = _restic(wanted)
        archive = Archive(wanted, restic, tell)
        if word == "list":
            return {**_listed(restic, documents), "archives": archive.listed()}
        if word in ("archive", "bring-back"):
            return archive.take(words[-1]) if word == "archive" else archive.bring_back(words[-1])
        last = _receipt(documents)
        if word == "daily" and last and last["at"] >= time_of_day.last(words[1], time.time()):
            return last
        receipt = Taking(wanted, restic, tell, anew="new" in words).run()
        archive.drop_old()
        return receipt
    asked = from_bytes(Restore, (documents / backups.WANTED).read_bytes())
    restic = _restic(asked)
    return Returning(asked, restic, tell).run() if word == "restore" else _looked_at(asked, restic, documents)


def _restic(wanted: Backup | Restore) -> Restic:
    restic = Restic(wanted.deployment, wanted.repository)
    signal.signal(signal.SIGTERM, lambda number, frame: restic.end())
    return restic


def _tell(said: Mapping[str, Any]) -> None:
    print(json.dumps({backups.PROGRESS: said}), flush=True)


def _listed(restic: Restic, documents: Path) -> dict[str, Any]:
    """Snapshots, and the receipt of the last run."""
    return {"snapshots": _shown(restic.snapshots()), "last": _receipt(documents)}


def _receipt(documents: Path) -> dict[str, Any] | None:
    """What the last backup did; None if there was none."""
    file = documents / backups.RECEIPT
    return dict(json.loads(file.read_text())) if file.exists() else None


def _shown(snapshots: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "id": one["short_id"],
            "time": one["time"],
            "bytes": int(tagged(one, SIZE) or 0),
            "deployment": one["hostname"],
        }
        for one in snapshots
    ]


def _looked_at(asked: Restore, restic: Restic, documents: Path) -> dict[str, Any]:
    """A snapshot with its whole id, what it says of itself, and whose snapshots there are. The operator's files lie in the
    documents then."""
    found = restic.snapshots()
    whose = sorted({one["hostname"] for one in found})
    if len(whose) > 1:
        return {"deployments": whose}
    one = returning.chosen(found, asked.snapshot)
    # At once, as each call takes half a second of processor to open the repository.
    restic.restore(one["id"], [str(documents / name) for name in (backups.FILES, backups.MANIFEST)], "/")
    manifest = json.loads((documents / backups.MANIFEST).read_text())
    return {"deployments": whose, **_shown([one])[0], "id": one["id"], "manifest": manifest}


def sentence(receipt: Mapping[str, Any]) -> str:
    """One line that says what a backup did."""
    line = (
        f"snapshot {receipt['snapshot'][:8]} of {time.strftime('%Y-%m-%d %H:%M', time.localtime(receipt['at']))}: "
        f"{receipt['volumes']} volumes, {receipt['bytes'] / _MB:.0f} MB, "
        f"{receipt['added'] / _MB:.1f} MB of it new, {receipt['seconds']:.0f} s"
    )
    missed = len(receipt["missed"])
    return f"{missed} files could not be read, such as {receipt['missed'][0]}; {line}" if missed else line


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
