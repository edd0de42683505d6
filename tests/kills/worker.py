"""A process made to be killed: it starts or reopens a run, edits it, and notes in a ledger what happened.

    python -m tests.kills.worker HOME SEED [POINT NTH] [reversed]

With POINT it kills itself when it comes to that point for the NTH time; else somebody else does, or it ends
with status 0. A line of the ledger is one write with O_APPEND, made after what it tells (`begin`: before), so
that the order of lines is the order of happening, also across processes:

    begin TASK ATTEMPT      an agent begins
    kept TASK ATTEMPT       the context store said that it has the result
    logged COUNT TASK …     the journal said that it has COUNT events, among the last the outcomes of TASK …
    started RUN             `kit.start` returned
    edit NUMBER             an edit's receipt said yes
    over DIGEST             `run.result` returned
"""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from hashlib import sha1
from pathlib import Path
from typing import Any

from dyntaskmas_nb import Kit
from dyntaskmas_nb.apee.journal import Journal, RunInfo
from dyntaskmas_nb.core.event import DeltaApplied, Event, RunEnded, RunReopened, TaskDone
from dyntaskmas_nb.errors import AgentError
from dyntaskmas_nb.kit import parts
from dyntaskmas_nb.sacms.chroma import ChromaStore

POINTS = {
    "run known": 1,
    "run claimed": 1,
    "before append": 9,
    "in the transaction": 9,
    "after append": 9,
    "start not yet told": 1,
    "reopening not yet told": 1,
    "result not yet logged": 6,
    "result logged": 6,
    "edit not yet told": 3,
    "end not yet told": 1,
    "agent begins": 6,
    "agent ends": 6,
    "result not yet kept": 6,
    "result kept": 6,
}
"""Where a process may die, and how often it comes there at the least."""
REOPENING = {"run claimed", "reopening not yet told"}
"""Those that only come after another death."""
EDITS = 6


def plan(seed: int) -> dict[str, Any]:
    """A random layered graph; its `last` task waits for all."""
    rng = random.Random(seed)
    ids = [f"t{number}" for number in range(rng.randint(7, 12))]
    subtasks = [
        {"id": id, "attempts": 20, "depends_on": rng.sample(ids[:place], min(place, rng.randint(0, 3)))}
        for place, id in enumerate(ids)
    ]
    return {"subtasks": [*subtasks, {"id": "last", "attempts": 20, "depends_on": ids}]}


def digest(id: str, results: dict[str, str]) -> str:
    """What a task gives: it tells from which results it was made."""
    return sha1(repr((id, sorted(results.items()))).encode()).hexdigest()[:12]


class Worker:
    def __init__(self, home: Path, seed: int, point: str = "", nth: int = 0) -> None:
        self.home, self.seed, self.point, self.nth = home, seed, point, nth
        self.passed: Counter[str] = Counter()
        self.edited = threading.Event()
        self.counting = threading.Lock()

    def note(self, *words: object) -> None:
        line = " ".join(map(str, words)) + "\n"
        file = os.open(self.home / "ledger", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, line.encode())
        os.close(file)

    def at(self, point: str) -> None:
        """Die here, if this is the place."""
        with self.counting:
            self.passed[point] += 1
            if point == self.point and self.passed[point] == self.nth:
                os.kill(os.getpid(), signal.SIGKILL)

    def agent(self, task: Any, context: Any) -> str:
        self.note("begin", task.id, context.attempt)
        self.at("agent begins")
        rng = random.Random(f"{self.seed} {task.id}")
        time.sleep(rng.uniform(0, 0.03))
        if context.attempt == 1 and rng.random() < 0.2:
            raise AgentError("not at once")
        if task.id == "last":
            self.edited.wait(60)
        self.at("agent ends")
        return digest(task.id, context.results)

    def work(self) -> None:
        with Kit("simulated", agents={"*": self.agent}, home=self.home) as kit:
            known = kit.runs()
            run = kit.open_run(known[-1].run) if known else kit.start(plan(self.seed), agents=3)
            if not known:
                self.note("started", run.id)
            run.resume()
            self.edit(run)
            self.edited.set()
            self.note("over", sha1(repr(run.result(90)).encode()).hexdigest())

    def edit(self, run: Any) -> None:
        """Make the edits that are not made yet. One that was made but not told is found in the graph."""
        rng = random.Random(f"edits of {self.seed}")
        told = (self.home / "ledger").read_text().split("\n")
        targets = [task["id"] for task in plan(self.seed)["subtasks"][:-1]]
        for number in range(EDITS):
            after, pause = rng.sample(targets, 2), rng.uniform(0, 0.03)
            id = f"x{number}"
            if f"edit {number}" in told or id in run.graph.tasks:
                continue
            time.sleep(pause)
            if run.add_task(f"Extra {number}", id=id, after=after, attempts=20):
                self.note("edit", number)


def watched(worker: Worker, *, reverse: bool) -> type[Journal]:
    """A journal that notes and dies; with `reverse` a turn is written only when the next one comes."""

    class Watched(Journal):
        late: tuple[str, int, Sequence[Event]] | None = None
        slow = random.Random(worker.seed)

        def open_run(self, info: RunInfo) -> None:
            super().open_run(info)
            worker.at("run known")

        def claim(self, run: str) -> None:
            super().claim(run)
            worker.at("run claimed")

        def append(self, run: str, first: int, events: Sequence[Event]) -> None:
            kinds = {type(event) for event in events}
            time.sleep(self.slow.uniform(0, 0.01))  # so that there is a moment in which to die
            worker.at("before append")
            if TaskDone in kinds:
                worker.at("result not yet logged")
            self._db.set_trace_callback(
                lambda sql: (
                    sql.startswith(("INSERT INTO turns", "COMMIT")) and worker.at("in the transaction")
                )
            )
            waiting = (run, first, events)
            if reverse:
                waiting, self.late = self.late, waiting
            if waiting:
                super().append(*waiting)
            self._db.set_trace_callback(None)
            worker.note("logged", first + len(events), *(e.task for e in events if isinstance(e, TaskDone)))
            worker.at("after append")
            if first == 0:
                worker.at("start not yet told")
            for kind, point in (
                (TaskDone, "result logged"),
                (DeltaApplied, "edit not yet told"),
                (RunReopened, "reopening not yet told"),
                (RunEnded, "end not yet told"),
            ):
                if kind in kinds and (first > 0 or kind is not DeltaApplied):
                    worker.at(point)

        def close(self) -> None:
            if self.late:
                super().append(*self.late)
            super().close()

    return Watched


def watch(worker: Worker, *, reverse: bool) -> None:
    """Let the kits of this process have a journal and a store that note and die."""
    parts.Journal = watched(worker, reverse=reverse)  # type: ignore[misc]
    put = ChromaStore.put

    async def noted(store: ChromaStore, nodes: Any) -> tuple[int, ...]:
        worker.at("result not yet kept")
        versions = await put(store, nodes)
        for node in nodes:
            worker.note("kept", node.provenance.task, node.provenance.attempt)
        worker.at("result kept")
        return versions

    ChromaStore.put = noted  # type: ignore[method-assign]


def main(arguments: list[str]) -> None:
    reverse = arguments[-1] == "reversed"
    home, seed, *death = arguments[:-1] if reverse else arguments
    worker = Worker(Path(home), int(seed), *death[:1], *map(int, death[1:]))
    watch(worker, reverse=reverse)
    worker.note("up")
    print("up", flush=True)
    worker.work()


if __name__ == "__main__":
    main(sys.argv[1:])
