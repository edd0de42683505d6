"""The past of a run: any moment of it, undo and redo, what changed, runs that fork off, exports."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dyntaskmas_nb.apee.export import python_of, records_of, trace_of
from dyntaskmas_nb.apee.history import fork_inputs, snapshot_at
from dyntaskmas_nb.apee.story import History, history_of
from dyntaskmas_nb.apee.undo import Edit, edits_of
from dyntaskmas_nb.core.command import Pause
from dyntaskmas_nb.core.event import CommandSubmitted, DeltaApplied, Event
from dyntaskmas_nb.core.snapshot import Snapshot
from dyntaskmas_nb.dtgg.difference import GraphDiff, graph_diff
from dyntaskmas_nb.errors import InvalidInput, StoreError
from dyntaskmas_nb.kit.access import Access
from dyntaskmas_nb.kit.edits import Edits
from dyntaskmas_nb.kit.receipt import Receipt

if TYPE_CHECKING:
    from dyntaskmas_nb.kit.run import Run


class Past(Edits, Access):
    """What `Run` can say of its past; read from the log, whose index is the coordinate."""

    def at(self, version: int | None = None, *, time: float | None = None) -> Snapshot:
        """Graph and every task's state at a moment of the past; raises `InvalidInput` where there is none.

        `version` is an edit's version or the number of any event, `time` is seconds since the start.
        """
        now = 0.0 if time is None else self.snapshot().t
        return snapshot_at(self._machine.run, self._log(), self._machine._custom, version, time, now)

    def versions(self, since: int = 0) -> list[int]:
        """The versions that edits made, from event `since` on: what `at`, `diff` and `fork` are asked for."""
        return [event.version for event in self._machine.log[since:] if isinstance(event, DeltaApplied)]

    def diff(self, v1: int, v2: int | None = None) -> GraphDiff:
        """How the graph changed from version `v1` to `v2`, or to now."""
        return graph_diff(self.at(v1).graph, (self.snapshot() if v2 is None else self.at(v2)).graph)

    def fork(self, version: int | None = None, *, time: float | None = None, paused: bool = False) -> Run:
        """Start a new run from how this one was at `version` or `time`, or is now, with its finished results.

        Raises `InvalidInput` when there was no graph yet, or the kit is closed.
        """
        then = self.snapshot() if version is None and time is None else self.at(version, time=time)
        inputs = fork_inputs(then, self._machine.log[0])
        if paused:
            inputs.append(CommandSubmitted(0.0, 0, Pause()))
        if (kit := self._kit_ref()) is None or not self._background.open:
            raise InvalidInput(f"The kit is closed; open run {then.run!r} in a new Kit and fork it there.")
        return kit._fork(self, inputs)

    def undo(self) -> Receipt:
        """Take back your latest edit that stands; never what planner or AWM did."""
        done, _, version = edits_of(self._log())
        return self._again(done, version, "undo", "undone")

    def redo(self) -> Receipt:
        """Do again what was undone last; a new edit of yours ends that."""
        _, undone, version = edits_of(self._log())
        return self._again(undone, version, "redo", "done again")

    def _again(self, edits: list[Edit], version: int, by: str, word: str) -> Receipt:
        if not edits:
            return Receipt(what=by, accepted=False, reason=f"There is no edit of yours to {by}.")
        what, last = f"{word}: {edits[-1].what}", edits[-1]
        if last.against:
            reason = f"Since then {last.against}, which would be lost; edit by hand."
            return Receipt(what=what, accepted=False, reason=reason)
        return self.apply(last.delta, what, base=version, by=by)

    def history(self) -> History:
        """What happened, a row each: its number and time, by whom, what, and what came of it."""
        return history_of(self._log())

    def to_records(self) -> list[dict[str, Any]]:
        """Every attempt as a flat dict, for `pandas.DataFrame(run.to_records())`."""
        return records_of(self._log(), self.snapshot().graph)

    def to_plan(self) -> dict[str, Any]:
        """The present graph as a plan, for `Kit.start` or a JSON file."""
        now = self.snapshot()
        return now.graph.to_plan() | {"task": now.graph.title or now.request}

    def to_python(self) -> str:
        """Your edits and commands as Python calls on a `run`."""
        return python_of(self._log())

    def trace(self) -> Any:
        """The timeline in the Trace Event format, as ui.perfetto.dev reads it."""
        return trace_of(self.snapshot(), self._log())

    def to_trace(self, path: str | Path) -> Path:
        """Write `trace` to a file; raises `StoreError` when that cannot be."""
        return write_whole(Path(path), json.dumps(self.trace(), indent=1))

    def _log(self) -> tuple[Event, ...]:
        return tuple(self._machine.log)  # one step, while the run's own thread goes on appending


def write_whole(path: Path, text: str) -> Path:
    """Write a file so that it is there whole or not at all."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            os.chmod(name, 0o644)  # mkstemp's files are the owner's alone
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
            raise
    except OSError as error:
        raise StoreError(f"{path} cannot be written ({error.strerror}). Choose another place.") from None
    return path
