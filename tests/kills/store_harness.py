"""Kill a store's owner again and again, and say what was lost, torn, invented, or left out of the index.

After each death a copy of the store is opened, so that looking does not mend what the next life finds.
"""

from __future__ import annotations

import os
import random
import select
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
from pathlib import Path
from typing import NamedTuple

import anyio

from dyntaskmas_nb.errors import DynTaskError
from dyntaskmas_nb.sacms.chroma import ChromaStore
from dyntaskmas_nb.sacms.embed import LexicalHashing, embed_units, vector_relevance
from dyntaskmas_nb.sacms.node import ContextNode, NodeId, embedded_text
from tests.kills.store_worker import CREATING, POINTS, READER, made, mark_of, opened

Death = tuple[str, int] | float
"""A point and how often it is passed, or seconds after the start of the worker's work."""
ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60.0  # seconds for the index to settle
QUESTIONS = ("hotel kyoto flight", "battery report", "temple", mark_of("left/3"))


def some_deaths(rng: random.Random, point: str, most: int) -> list[Death]:
    """One at `point`, and up to `most` others of both kinds."""
    named: list[Death] = [(place, rng.randint(1, often)) for place, often in POINTS.items()]
    deaths = [rng.choice([rng.choice(named), rng.uniform(0, 1.0)]) for _ in range(rng.randint(1, most))]
    place = 0 if point in CREATING else rng.randint(0, len(deaths))
    deaths.insert(place, (point, rng.randint(1, POINTS[point])))
    return deaths


class Row(NamedTuple):
    """A version as SQLite has it."""

    seq: int
    id: str
    version: int
    current: bool
    stamp: str
    text: str


@dataclass
class Campaign:
    """One store through all its deaths; `found` says what went wrong, by kind, after which death."""

    home: Path
    seed: int
    variant: str = "right"
    kills: Counter[str] = field(default_factory=Counter)
    found: list[tuple[str, str]] = field(default_factory=list)
    seen: set[Row] = field(default_factory=set)

    def go(self, deaths: Iterable[Death]) -> Campaign:
        """Die by each of `deaths`, unless the worker ends before; then live to the end."""
        self.home.mkdir(parents=True)
        for death in deaths:
            if self.killed(death):
                name = death[0] if isinstance(death, tuple) else "any moment"
                self.kills[name] += 1
                self.look(f"{name} (number {self.kills.total()})")
        assert not self.killed(None), "the worker died by itself"
        self.look("no death")
        return self

    def killed(self, death: Death | None) -> bool:
        words = [str(self.home), str(self.seed), self.variant]
        words += [death[0], str(death[1])] if isinstance(death, tuple) else []
        with subprocess.Popen(
            [sys.executable, "-m", "tests.kills.store_worker", *words],
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
        await_ends(self._indexes())
        return process.returncode != 0

    def ledger(self) -> list[list[str]]:
        return [line.split(" ") for line in (self.home / "ledger").read_text().splitlines()]

    def _indexes(self) -> list[int]:
        """The index processes of the last life."""
        pids: list[int] = []
        for kind, *words in self.ledger():
            pids = [] if kind == "up" else [*pids, int(words[0])] if kind == "index" else pids
        return pids

    # -- what is right -----------------------------------------------------------------------------

    def look(self, death: str) -> None:
        shutil.rmtree(self.home / "look", ignore_errors=True)
        if (self.home / "store").exists():
            shutil.copytree(self.home / "store", self.home / "look")
        before = len(self.found)
        try:
            anyio.run(self._judge)
        except DynTaskError as error:
            self.found.append(("lost", f"the store cannot be read: {error}"))
        self.found[before:] = [(kind, f"after {death}: {what}") for kind, what in self.found[before:]]

    async def _judge(self) -> None:
        store = opened(self.home / "look", self.variant)
        try:
            with closing(sqlite3.connect(store.path / "context.db")) as db:
                sql = "SELECT seq, id, version, current, json_extract(data, '$'), text FROM version"
                rows = [Row(*row) for row in db.execute(f"{sql} ORDER BY seq")]
                kept = dict(db.execute("SELECT seq, access FROM vector"))
            self._judge_versions(rows, self._judge_puts(rows))
            told = await store.deliveries(READER.agent, most=10**6)
            if [(delivery.node, delivery.version) for delivery, _ in told] != [
                (row.id, row.version) for row in rows if made(row.stamp, row.id).tags
            ]:
                self.found.append(("torn", "what is to be delivered is not what was written"))
            current = [row for row in rows if row.current]
            await self._judge_reads(store, current)
            await self._judge_index(store, current, kept)
        finally:
            await store.aclose()

    def _judge_puts(self, rows: list[Row]) -> set[str]:
        """What was told is there; each put is there whole or not at all; nothing else is there.

        Returns what is deleted by the puts that are there.
        """
        there: dict[str, dict[str, int]] = {}
        for row in rows:
            there.setdefault(row.stamp, {})[row.id] = row.version
            if row.text != made(row.stamp, row.id).text:
                self.found.append(("extra", f"{row} is not what was put"))
        asked: dict[str, list[str]] = {}
        for kind, *words in self.ledger():
            match kind:
                case "ask":
                    asked[words[0]] = words[1].split(",")
                case "told":
                    versions = zip(asked[words[0]], map(int, words[1].split(",")), strict=True)
                    due = {id: version for id, version in versions if version}
                    if there.get(words[0], {}) != due:
                        self.found.append(("lost", f"{words[0]} told {due}, kept {there.get(words[0])}"))
                case "wrong":
                    self.found.append(("read", " ".join(words)))
        for stamp, ids in there.items():
            if stamp not in asked:
                self.found.append(("extra", f"nobody put {stamp}"))
            elif set(ids) != {id for id in asked[stamp] if not id.startswith("-")}:
                self.found.append(("torn", f"of put {stamp} there is {sorted(ids)} of {asked[stamp]}"))
        gone = [id for stamp in there for id in asked.get(stamp, ()) if id.startswith("-")]
        return {id.replace("-left", side) for id in gone for side in ("left", "right")}

    def _judge_versions(self, rows: list[Row], deleted: set[str]) -> None:
        """Versions count from 1 without a gap and the last is current; pairs agree; none ever vanishes."""
        latest: dict[str, Row] = {}
        for row in rows:
            if row.version != (latest[row.id].version if row.id in latest else 0) + 1:
                self.found.append(("torn", f"{row} comes after {latest.get(row.id)}"))
            latest[row.id] = row
        if {row for row in rows if row.current} != {r for id, r in latest.items() if id not in deleted}:
            self.found.append(("torn", "what is current is not what was written last"))
        for id, row in latest.items():
            if id.startswith("left/"):
                other = latest.get(id.replace("left", "right"))
                if other is None or (other.stamp, other.version) != (row.stamp, row.version):
                    self.found.append(("torn", f"a pair disagrees: {row}, {other}"))
        written = {row._replace(current=False) for row in rows}
        if gone := self.seen - written:
            self.found.append(("lost", f"was there before this death: {min(gone)}"))
        self.seen = written

    async def _judge_reads(self, store: ChromaStore, current: list[Row]) -> None:
        """`get`, `children` and `roots` give what SQLite has."""
        due = {row.id: (row.version, row.stamp) for row in current}
        lefts = [id for id in due if id.startswith("left/")]
        got = [await store.get(NodeId(id), access=2) for id in due]
        tops = [*await store.roots("pairs", access=2), *await store.roots("wide", access=2)]
        below = [node for id in lefts for node in await store.children(NodeId(id), access=2)]
        for name, nodes in (("get", got), ("a walk", [*tops, *below])):
            read = {str(node.id): (node.version, str(node.data)) for node in nodes if node}
            if read != due:
                self.found.append(("read", f"{name} differs in {sorted(read.items() ^ due.items())[:4]}"))

    async def _judge_index(self, store: ChromaStore, current: list[Row], kept: dict[int, int]) -> None:
        """The index holds what is current and nothing else; answers through it are those of brute force."""
        if not await store.settled(PATIENCE):
            self.found.append(("index", f"it does not settle: {store.index.reason}"))
            return
        nodes = {row.seq: made(row.stamp, row.id) for row in current}
        due = {seq: node.access for seq, node in nodes.items() if embedded_text(node)}
        if kept != due:
            self.found.append(("torn", f"vectors differ in {sorted(kept.items() ^ due.items())[:4]}"))
        assert store.index.child
        holds = store.index.child.ask({"op": "ids"})
        indexed = {int(seq): int(level) for level, seqs in holds.items() for seq in seqs}
        if indexed != due:
            self.found.append(("index", f"it differs in {sorted(indexed.items() ^ due.items())[:4]}"))
        right = Brute(nodes)
        for text in QUESTIONS:
            for access, theta, k in ((0, 0.0, 5), (1, 0.1, 2000), (2, 0.0, 40), (2, 0.3, 3)):
                answer = await store.query(text, access=access, theta=theta, k=k)
                found = [(str(hit.node.id), str(hit.node.data), hit.relevance) for hit in answer]
                best = right.answer(text, access=access, theta=theta)[:k]
                if found != best or answer.degraded:
                    lacks = sorted(set(best) ^ set(found))[:3]
                    self.found.append(("query", f"{text!r} on {access} above {theta}: {lacks} of {k}"))


class Brute:
    """Every current node compared with a question, in the plainest way (Eqs. 13–15)."""

    def __init__(self, nodes: dict[int, ContextNode]) -> None:
        self.nodes, self.embedder = dict(sorted(nodes.items())), LexicalHashing()
        self.units = embed_units(self.embedder, [embedded_text(node) for node in self.nodes.values()])

    def answer(self, text: str, *, access: int, theta: float) -> list[tuple[str, str, float]]:
        scores = vector_relevance(self.units, embed_units(self.embedder, [text])[0]).tolist()
        open_ones = [
            (-score, seq, node)
            for score, (seq, node) in zip(scores, self.nodes.items(), strict=True)
            if score > theta and node.access <= access
        ]
        best = sorted(open_ones, key=lambda one: one[:2])
        return [(str(node.id), str(node.data), -minus) for minus, _, node in best]


def await_ends(pids: Iterable[int]) -> None:
    """Wait till processes that may not be our children are gone: a killed owner's index process ends soon."""
    for pid in set(pids):
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        ended = select.select([handle], [], [], 30)[0]
        os.close(handle)
        assert ended, f"process {pid} outlives the store's owner"
