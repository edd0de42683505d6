"""Which process holds a run, told by the kernel: a lock on a file of its own, gone when the process is.

The lock is SQLite's, so it works wherever the journal does. No name is used twice: a dead one's file goes.
"""

from __future__ import annotations

import os
import re
import secrets
import sqlite3
from contextlib import closing
from pathlib import Path

_NAME = re.compile(r"(\d+)-[0-9a-f]{8}")


class Holder:
    """A process until it ends, or `close`: its `name`, and an empty, locked file of that name in `folder`.

    Raises `OSError` or `sqlite3.Error` where no file can be made.
    """

    def __init__(self, folder: Path) -> None:
        self.name = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._path = folder / self.name
        folder.mkdir(exist_ok=True)
        self._lock = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        self._lock.execute("PRAGMA journal_mode=MEMORY")  # no second file
        self._lock.execute("BEGIN EXCLUSIVE")

    def close(self) -> None:
        """Hold nothing any more."""
        self._lock.close()
        self._path.unlink(missing_ok=True)


def living(folder: Path, name: str) -> str:
    """The id of the process that is the holder `name`, "" when it is no more."""
    known = _NAME.fullmatch(name)
    path = folder / name
    if not known or not path.exists():
        return ""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=0)) as db:
            db.execute("SELECT * FROM sqlite_master").fetchall()
    except sqlite3.OperationalError as error:
        return known[1] if error.sqlite_errorname == "SQLITE_BUSY" else ""
    path.unlink(missing_ok=True)
    return ""
