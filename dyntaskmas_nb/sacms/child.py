"""The owner's end of the index process: start it, ask it, end it. The other end is `chroma_child`."""

from __future__ import annotations

import base64
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dyntaskmas_nb.sacms import chroma_child
from dyntaskmas_nb.sacms.authority import Stale

CLOSE_DEADLINE = 5.0  # seconds
CHUNK = 64  # versions sent at once: a search waits for at most one chunk

Found = list[tuple[list[int], list[float]]]
"""For each level: versions by rising cosine distance, and the distances."""


class ChildGone(Exception):
    """The index process died or could not do what it was asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Ask for the n versions nearest to a unit vector (float32 bytes) on each level ≤ `access`."""

    unit: bytes
    access: int
    n: int


class Child:
    """One index process and its two pipes. Used by one thread; `kill` by any."""

    def __init__(self, directory: Path, log: Path) -> None:
        # By path, with -P: neither the current directory nor the package's can shadow a module of Chroma's.
        command = [sys.executable, "-P", chroma_child.__file__, str(directory)]
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )
        self.pid = self._process.pid

    def ask(self, request: dict[str, Any] | None) -> Any:
        """Send `request` (None: only wait for the first word) and return its answer; raises ChildGone."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            if request is not None:
                chroma_child.write_frame(self._process.stdin, request)
            answer = chroma_child.read_frame(self._process.stdout)
        except (OSError, EOFError, ValueError) as error:
            raise ChildGone(f"the index process ended ({type(error).__name__})") from error
        if "error" in answer:
            raise ChildGone(answer["error"])
        return answer["ok"]

    def ids(self) -> dict[int, int]:
        """Return {seq: level} of everything the index holds."""
        held = self.ask({"op": "ids"})
        return {int(id): int(level) for level, ids in held.items() for id in ids}

    def search(self, search: Search) -> Found:
        """Return what the index finds nearest."""
        unit = _text(search.unit)
        found = self.ask({"op": "search", "access": search.access, "unit": unit, "n": search.n})
        return [([int(id) for id in ids], far) for ids, far in found]

    def upsert(self, rows: Iterable[tuple[int, int, bytes]]) -> None:
        """Add versions, given as (seq, level, unit vector); one already there is written again."""
        levels: dict[int, list[tuple[int, bytes]]] = defaultdict(list)
        for seq, level, unit in rows:
            levels[level].append((seq, unit))
        for level, found in levels.items():
            ids = [str(seq) for seq, _ in found]
            units = _text(b"".join(unit for _, unit in found))
            self.ask({"op": "upsert", "level": level, "ids": ids, "units": units})

    def delete(self, stale: Iterable[Stale]) -> None:
        """Forget versions; one that is not there is no error."""
        levels: dict[int, list[str]] = defaultdict(list)
        for gone in stale:
            levels[gone.access].append(str(gone.seq))
        for level, ids in levels.items():
            for start in range(0, len(ids), CHUNK):
                self.ask({"op": "delete", "level": level, "ids": ids[start : start + CHUNK]})

    def kill(self) -> None:
        """End the process at once; whoever waits for its answer gets ChildGone."""
        self._process.kill()

    def close(self) -> None:
        """Let the process end by the end of its input; kill it if it does not."""
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            try:
                pipe.close()
            except OSError:
                continue  # the other end is gone, which is what we want
        try:
            self._process.wait(CLOSE_DEADLINE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
