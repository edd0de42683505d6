"""Kill a worker again and again, let it finish, and say what was lost or done twice."""

from __future__ import annotations

import json
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from hashlib import sha1
from pathlib import Path

from dyntaskmas_nb.apee.machine import Machine
from dyntaskmas_nb.core.codec import decode, decode_all, encode
from dyntaskmas_nb.core.event import DeltaApplied, DeltaSubmitted
from dyntaskmas_nb.kit.reopen import replayed
from tests.kills.worker import POINTS, REOPENING, digest

Death = tuple[str, int] | float
"""A point and how often it is passed, or seconds after the start of the worker's work."""
ROOT = Path(__file__).resolve().parents[2]


def some_deaths(rng: random.Random, point: str, most: int) -> list[Death]:
    """At `point`, and up to `most` others of both kinds."""
    named: list[Death] = [(place, rng.randint(1, often)) for place, often in POINTS.items()]
    deaths = [rng.choice([rng.choice(named), rng.uniform(0, 0.5)]) for _ in range(rng.randint(1, most))]
    deaths.insert(point in REOPENING, (point, rng.randint(1, POINTS[point])))
    return deaths


@dataclass
class Campaign:
    """One run through all its deaths; `found` says what went wrong, by kind."""

    home: Path
    seed: int
    reverse: bool = False
    kills: Counter[str] = field(default_factory=Counter)
    found: list[tuple[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    def go(self, deaths: Iterable[Death]) -> Campaign:
        """Die by each of `deaths`, unless the run ends before, then go to the end."""
        self.home.mkdir(parents=True)
        for death in deaths:
            if self._killed(death):
                self.kills[death[0] if isinstance(death, tuple) else "any moment"] += 1
                self._look()
        while self._killed(None):
            raise AssertionError("the worker died by itself")
        self._look()
        self._judge()
        return self

    def _killed(self, death: Death | None) -> bool:
        words = [str(self.home), str(self.seed)]
        words += [death[0], str(death[1])] if isinstance(death, tuple) else []
        words += ["reversed"] if self.reverse else []
        with subprocess.Popen(
            [sys.executable, "-m", "tests.kills.worker", *words],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        ) as process:  # fmt: skip
            if isinstance(death, float) and process.stdout:
                process.stdout.readline()
                time.sleep(death)
                process.kill()
            try:
                _, said = process.communicate(timeout=100)
            finally:
                process.kill()
        assert process.returncode in {0, -signal.SIGKILL}, said
        return process.returncode != 0

    # -- what is there -------------------------------------------------------------------------------

    def ledger(self) -> list[list[str]]:
        return [line.split() for line in (self.home / "ledger").read_text().splitlines()]

    def _copy(self, name: str) -> sqlite3.Connection:
        """A copy of a database with what its log holds: looking must not mend the original."""
        place = self.home / "look"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        for file in (self.home / name).parent.glob(f"{Path(name).name}*"):
            if not file.name.endswith("-shm"):
                shutil.copy(file, place)
        return sqlite3.connect(place / Path(name).name)

    def _look(self) -> None:
        """After each death: what was in the journal is there, and all that was said to be in it."""
        before = self.bodies
        if (self.home / "journal.sqlite").exists():
            with closing(self._copy("journal.sqlite")) as db:
                tables = db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'turns'").fetchone()
                sql = "SELECT body FROM turns ORDER BY place"
                turns = db.execute(sql) if tables[0] else ()
                self.bodies = [encode(event) for (body,) in turns for event in decode_all(body)]
        if self.bodies[: len(before)] != before:
            self.found.append(("log", "the log does not begin with what it was before"))
        promised = max((int(line[1]) for line in self.ledger() if line[0] == "logged"), default=0)
        if promised > len(self.bodies):
            self.found.append(("log", f"{promised} events were logged, {len(self.bodies)} are there"))

    # -- what is right -------------------------------------------------------------------------------

    def _judge(self) -> None:
        machine = replayed("run", [decode(body) for body in self.bodies], None)  # raises where bytes differ
        self._judge_work(machine)
        self._judge_edits(machine)
        self._judge_results(machine)

    def _judge_work(self, machine: Machine) -> None:
        """No attempt begins twice, and none once a result is kept or logged."""
        settled: set[str] = set()
        begun: set[tuple[str, str]] = set()
        for kind, *words in self.ledger():
            match kind:
                case "begin":
                    if words[0] in settled or (words[0], words[1]) in begun:
                        self.found.append(("twice", f"{words[0]} ran again, attempt {words[1]}"))
                    begun.add((words[0], words[1]))
                case "kept":
                    settled.add(words[0])
                case "logged":
                    settled.update(words[1:])
        for id, record in machine.records.items():
            tries = [attempt for task, attempt in begun if task == id]
            if record.state != "done" or not tries or max(map(int, tries)) != record.attempt:
                self.found.append(("lost", f"{id} is {record.state}, attempt {record.attempt} of {tries}"))

    def _judge_edits(self, machine: Machine) -> None:
        """Every start and edit that was told is in the log, once."""
        made: Counter[str] = Counter()
        pending: dict[int, str] = {}
        for event in machine.log:
            if isinstance(event, DeltaSubmitted) and event.by == "user":
                pending[event.id] = event.delta.task.id  # type: ignore[union-attr]
            elif isinstance(event, DeltaApplied) and event.id in pending:
                made[pending.pop(event.id)] += 1
        started = [words[0] for kind, *words in self.ledger() if kind == "started"]
        if len(started) > 1:
            self.found.append(("edit", f"runs {started} were told to have started, the first is gone"))
        for kind, *words in self.ledger():
            if kind == "edit" and made[f"x{words[0]}"] != 1:
                self.found.append(
                    ("edit", f"edit {words[0]} was told and is there {made[f'x{words[0]}']} times")
                )

    def _judge_results(self, machine: Machine) -> None:
        """Every result is what its task makes of its predecessors', in the log and in the store."""
        with closing(self._copy("context/context.db")) as db:
            sql = "SELECT task, data FROM version WHERE result AND current"
            kept: dict[str, list[str]] = {}
            for task, data in db.execute(sql):
                kept.setdefault(task, []).append(json.loads(data))
        right: dict[str, str] = {}
        for id in machine.graph.topological():
            right[id] = digest(id, {before: right[before] for before in machine.graph.predecessors(id)})
            if machine.records[id].result != right[id] or right[id] not in kept.get(id, []):
                self.found.append(("result", f"{id} gave {machine.records[id].result}, right is {right[id]}"))
        sinks = {id: right[id] for id in machine.graph.sinks()}
        answer = next(iter(sinks.values())) if len(sinks) == 1 else sinks
        told = {line[1] for line in self.ledger() if line[0] == "over"}
        if not machine.ended or sha1(repr(answer).encode()).hexdigest() not in told:
            self.found.append(("result", "the answer is not what the run's user was told"))
