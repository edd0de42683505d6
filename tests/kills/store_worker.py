"""A process made to be killed: three writers and two readers on one context store, and a ledger of it.

    python -m tests.kills.store_worker HOME SEED VARIANT [POINT NTH]

With POINT it kills itself when it comes to that point for the NTH time, half of the times its index process
just before; else somebody else does, or it closes the store and ends with status 0. The POINTs "index killed"
and "index stopped" mean the index process alone, NTH times, while the load goes on.

A put is one or more pairs of nodes, or one wide batch, all with the same stamp in their data; it may also
delete a pair that nobody else uses. What a node says follows from stamp and id (`made`), so that whoever
looks can tell a right one from any other. `READER` is to be told of every node that has tags, and never
acknowledges. A line of the ledger is one write with O_APPEND and one fsync:

    up LIFE                 before the store is opened
    index PID               an index process was started
    ask STAMP ID,…          before a put; -ID is deleted
    told STAMP VERSION,…    the put returned
    hurt PID                that index process was killed or stopped
    wrong TEXT              an answer contradicts what was told before, or itself
    over                    the store is closed
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import sys
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from functools import wraps
from hashlib import sha1
from itertools import count
from pathlib import Path
from typing import Any

import anyio

from dyntaskmas_nb.sacms import chroma
from dyntaskmas_nb.sacms import index as index_module
from dyntaskmas_nb.sacms.authority import Authority
from dyntaskmas_nb.sacms.change import Change, Delete, Put
from dyntaskmas_nb.sacms.chroma import ChromaStore
from dyntaskmas_nb.sacms.distribution import Subscription
from dyntaskmas_nb.sacms.index import Child, Index
from dyntaskmas_nb.sacms.node import ContextNode, NodeId

CREATING = {
    "schema being written": 1,
    "schema not yet named": 1,
    "store named": 1,
}
"""Points that only a store not yet made comes to; and, as below, how often at the least."""
POINTS = CREATING | {
    "lock taken": 1,
    "log being opened": 1,
    "before commit": 9,
    "in the transaction": 200,
    "committed, not yet told": 9,
    "told": 20,
    "index process starting": 1,
    "index reconciling": 1,
    "before the index is fed": 5,
    "while the index is fed": 5,
    "index fed, not yet noted": 5,
    "index closing": 1,
    "authority closing": 1,
    "closed, still locked": 1,
}
READER = Subscription(agent="reader", tags=frozenset({"pairs"}), access=2, theta=0.0)
WORDS = "hotel kyoto flight osaka budget train temple market report battery".split()
PAIRS, WIDE, PUTS = 20, 150, 10  # pairs that all writers share; nodes of the wide put; puts of one phase
PERIL = {"index killed": signal.SIGKILL, "index stopped": signal.SIGSTOP}
VARIANTS = ("right", "in two", "trusting")


def made(stamp: str, id: str) -> ContextNode:
    """What the put `stamp` says in node `id`; some nodes say nothing, and then have no vector."""
    rng = random.Random(f"{stamp} {id}")
    kind, number = id.split("/")
    mark = mark_of(id)
    text = "" if rng.random() < 0.1 else " ".join([mark, *rng.sample(WORDS, 3), mark])
    return ContextNode(
        id=NodeId(id),
        domain="wide" if kind == "wide" else "pairs",
        parent=NodeId(f"left/{number}") if kind == "right" else None,
        access=0 if kind == "wide" else int(number) % 3,
        text=text,
        data=stamp,
        tags=READER.tags if text and kind != "wide" else frozenset(),
    )


def change(stamp: str, id: str) -> Change:
    """What the put `stamp` does to node `id`; a pair hangs together, so deleting its left deletes both."""
    return Delete(id=NodeId(id[1:]), cascade=True) if id.startswith("-") else Put(node=made(stamp, id))


def shared(id: str) -> bool:
    """Whether all writers put this node, and none deletes it."""
    return int(id.split("/")[1]) < max(PAIRS, WIDE)


def mark_of(id: str) -> str:
    """The word that only the nodes of this number have."""
    return "pair" + sha1(id.split("/")[1].encode()).hexdigest()[:8]


class Worker:
    """One life: it notes, and dies at its point."""

    def __init__(self, home: Path, seed: int, variant: str, point: str = "", nth: int = 0) -> None:
        self.home, self.seed, self.variant, self.point, self.nth = home, seed, variant, point, nth
        self.passed: Counter[str] = Counter()
        self.counting = threading.Lock()
        self.index = 0
        self.rng = random.Random(f"{seed} {point} {nth}")
        self.told: dict[str, int] = {}  # the least version that a read may show from now on
        self.writing, self.hurting, self.calm = 3, point in PERIL, anyio.Lock()

    def note(self, *words: object) -> None:
        line = " ".join(map(str, words)) + "\n"
        file = os.open(self.home / "ledger", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, line.encode())
        os.fsync(file)
        os.close(file)

    def comes_to(self, point: str) -> bool:
        with self.counting:
            self.passed[point] += 1
            return point == self.point and self.passed[point] == self.nth

    def at(self, point: str) -> None:
        """Die here, if this is the place."""
        if self.comes_to(point):
            self.die()

    def die(self) -> None:
        if self.rng.random() < 0.5 and self.index:
            os.kill(self.index, signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)

    # -- the load ----------------------------------------------------------------------------------

    async def live(self, life: int) -> None:
        store = opened(self.home / "store", self.variant)
        await store.subscribe(READER)
        async with anyio.create_task_group() as group:
            for writer in range(3):
                group.start_soon(self.write, store, f"{life}.{writer}")
            for reader in range(2):
                group.start_soon(self.read, store, random.Random(f"{self.seed} {life} {reader}"))
            if self.point in PERIL:
                group.start_soon(self.hurt, store, life)
        await store.aclose()
        self.note("over")

    async def write(self, store: ChromaStore, who: str) -> None:
        """Put while the index starts, wait for it, put while it is fed (and as long as it is hurt)."""
        rng = random.Random(f"{self.seed} {who}")
        mine: list[int] = []
        for number in count():
            if number >= 2 * PUTS and not self.hurting:
                break
            async with self.calm:
                pass
            if number == PUTS:
                await store.settled()
            if number == PUTS + 5 and who.endswith("0"):
                ids = [f"wide/{n}" for n in range(WIDE)]
            else:
                common = rng.sample(range(PAIRS), rng.randint(0, 3))
                fresh = [int(who.replace(".", "")) * 1000 + number][bool(common) and rng.random() < 0.7 :]
                ids = [f"{side}/{n}" for n in common + fresh for side in ("left", "right")]
                if mine and rng.random() < 0.3:
                    ids.append(f"-left/{mine.pop()}")
                mine += fresh
            await self.put(store, f"{who}.{number}", ids)
            await anyio.sleep(rng.uniform(0, 0.01))
        self.writing -= 1

    async def put(self, store: ChromaStore, stamp: str, ids: list[str]) -> None:
        self.note("ask", stamp, ",".join(ids))
        versions = await store.write([change(stamp, id) for id in ids])
        self.note("told", stamp, ",".join(map(str, versions)))
        for id, version in zip(ids, versions, strict=True):
            if shared(id):
                self.told[id] = max(self.told.get(id, 0), version)
        self.at("told")

    async def read(self, store: ChromaStore, rng: random.Random) -> None:
        while self.writing:
            number = rng.randrange(PAIRS)
            left, right = f"left/{number}", f"right/{number}"
            least = dict(self.told)
            match rng.randrange(4):
                case 0:
                    found = [await store.get(NodeId(left), access=2)]
                    due = {left}
                case 1:
                    found = [*await store.children(NodeId(left), access=2)]
                    due = {right}
                case 2:
                    found = [*await store.roots("pairs", access=2)]
                    due = {id for id in least if id.startswith("left/")}
                case _:
                    found = [
                        hit.node for hit in await store.query(mark_of(left), access=2, theta=0.1, k=2000)
                    ]
                    due = self.agree(found, left, right)
            self.compare({node.id: node for node in found if node}, due, least)
            await anyio.sleep(rng.uniform(0, 0.01))

    def agree(self, found: Sequence[ContextNode | None], left: str, right: str) -> set[str]:
        """A pair in one answer has one stamp and one version. Returns what of it has to be there."""
        pair = [node for node in found if node and node.id in {left, right}]
        if len({(node.data, node.version) for node in pair}) > 1:
            self.note("wrong", f"a torn pair: {[(n.id, n.data, n.version) for n in pair]}")
        speaking = {id for id in (left, right) if pair and made(str(pair[0].data), id).text}
        if pair and {str(node.id) for node in pair} != speaking:
            self.note("wrong", f"of {speaking} the query found {[node.id for node in pair]}")
        return set()

    def compare(self, found: dict[NodeId, ContextNode], due: set[str], least: dict[str, int]) -> None:
        for id in due & set(least):
            node = found.get(NodeId(id))
            if node is None or node.version < least[id]:
                self.note("wrong", f"{id} was told as version {least[id]}, read as {node and node.version}")
        for node in found.values():
            if node.text != made(str(node.data), node.id).text:
                self.note("wrong", f"{node.id} is not what {node.data} put")

    async def hurt(self, store: ChromaStore, life: int) -> None:
        """Kill or stop the index process `nth` times, each when it has worked for a moment."""
        for number in range(self.nth):
            async with self.calm:
                if not await store.settled():
                    self.note("wrong", f"the index gave up: {store.index.reason}")
                await store.query("hotel", access=2)
            await anyio.sleep(self.rng.uniform(0, 0.03))
            os.kill(self.index, PERIL[self.point])
            self.note("hurt", self.index)
            await self.put(store, f"{life}.hurt.{number}", ["left/1", "right/1"])
        self.hurting = False


def opened(path: Path, variant: str) -> ChromaStore:
    """The store, or a wrong one: the negative controls."""
    match variant:
        case "in two":
            return InTwo(path)
        case "trusting":
            store = ChromaStore(path)
            store.index._reconcile = lambda child: trust(store.index, child)  # type: ignore[method-assign]
            return store
    return ChromaStore(path)


class InTwo(ChromaStore):
    """Each node of a put is a transaction of its own."""

    async def write(self, changes: Sequence[Change]) -> tuple[int, ...]:
        return tuple([(await ChromaStore.write(self, [each]))[0] for each in changes])


def trust(index: Index, child: Child) -> None:
    """No recovery: take whatever the index has for all there is."""
    child.ask(None)
    index.indexed = index._last = max(index._authority.levels(), default=0)


def after(place: object, name: str, *, do: Callable[..., None], first: bool = False) -> None:
    """Let `do` be called with the same arguments after (or before) a function."""
    function = getattr(place, name)

    @wraps(function)
    def both(*args: Any, **options: Any) -> Any:
        if first:
            do(*args, **options)
        given = function(*args, **options)
        if not first:
            do(*args, **options)
        return given

    setattr(place, name, both)


def watch(worker: Worker) -> None:
    """Let the store of this process note and die."""
    watch_home(worker)
    after(Authority, "commit", do=lambda *_: worker.at("before commit"), first=True)
    after(Authority, "commit", do=lambda *_: worker.at("committed, not yet told"))
    after(Index, "close", do=lambda *_: worker.at("index closing"), first=True)
    after(Authority, "close", do=lambda *_: worker.at("authority closing"), first=True)
    after(Authority, "close", do=lambda *_: worker.at("closed, still locked"))

    def started(child: Child, *_: object) -> None:
        worker.index = child.pid
        worker.note("index", child.pid)
        worker.at("index process starting")

    def asking(_: Child, request: dict[str, Any] | None) -> None:
        if request and request["op"] == "change":
            worker.at("before the index is fed")
            if worker.comes_to("while the index is fed"):
                threading.Timer(worker.rng.uniform(0, 0.01), worker.die).start()

    def answered(_: Child, request: dict[str, Any] | None) -> None:
        match request:
            case {"op": "ids"}:
                worker.at("index reconciling")
            case {"op": "change"}:
                worker.at("index fed, not yet noted")

    after(Child, "__init__", do=started)
    after(Child, "close", do=lambda _: setattr(worker, "index", 0), first=True)
    after(Child, "ask", do=asking, first=True)
    after(Child, "ask", do=answered)
    if worker.point == "index stopped":
        index_module.DEADLINE = 0.5


def watch_home(worker: Worker) -> None:
    """Die while the store is opened, made, or written; SQLite says before each statement what it will do."""
    places = {
        "CREATE TABLE version": "schema being written",
        "PRAGMA journal_mode=WAL": "log being opened",
        "UPDATE": "in the transaction",
        "DELETE": "in the transaction",
        "INSERT": "in the transaction",
        "COMMIT": "in the transaction",
    }

    def trace(statement: str) -> None:
        for start, point in places.items():
            if statement.strip().startswith(start):
                worker.at(point)

    connect = sqlite3.connect

    def connected(*args: Any, **options: Any) -> sqlite3.Connection:
        db = connect(*args, **options)
        db.set_trace_callback(trace)
        return db

    sqlite3.connect = connected  # type: ignore[assignment]
    after(chroma, "own", do=lambda *_: worker.at("lock taken"))
    after(os, "replace", do=lambda *_: worker.at("schema not yet named"), first=True)
    after(os, "replace", do=lambda *_: worker.at("store named"))


def main(arguments: list[str]) -> None:
    home, seed, variant, *death = arguments
    worker = Worker(Path(home), int(seed), variant, *death[:1], *map(int, death[1:]))
    watch(worker)
    ledger = Path(home) / "ledger"
    life = ledger.read_text().count("up ") + 1 if ledger.exists() else 1
    worker.note("up", life)
    print("up", flush=True)
    anyio.run(worker.live, life)


if __name__ == "__main__":
    main(sys.argv[1:])
