"""The Chroma store's own promises: it persists, it is owned, and the index may die but never lie."""

from __future__ import annotations

import itertools
import os
import random
import re
import select
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from dyntaskmas_nb.errors import InvalidInput, StoreError
from dyntaskmas_nb.sacms import index as index_module
from dyntaskmas_nb.sacms.chroma import ChromaStore
from dyntaskmas_nb.sacms.memory import MemoryStore

WORDS = "hotel kyoto flight osaka budget train temple market report battery".split()
QUESTION = ("hotel kyoto", {"access": 1, "theta": 0.05})
PATIENCE = 100.0  # seconds: less than a test's own deadline, so that a slow machine fails nothing

OWNER = """
import sys, anyio
from dyntaskmas_nb.sacms.chroma import ChromaStore
from dyntaskmas_nb.sacms.node import ContextNode

async def main():
    store = ChromaStore(sys.argv[1])
    await store.put([ContextNode(id="a", domain="travel", text="a hotel in Kyoto")])
    await store.query("hotel", access=0)
    print(store.index.child.pid if await store.settled(100) else 0, flush=True)
    await anyio.sleep_forever()

anyio.run(main)
"""


def ended(pid: int) -> bool:
    """Wait for a process that is not our child to end."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], PATIENCE)[0])
    finally:
        os.close(handle)


def sentences(make, count: int):
    for number in range(count):
        text = " ".join(WORDS[number * step % len(WORDS)] for step in (1, 3, 7)) + f" n{number}"
        yield make(f"n{number}", text, access=number % 3)


async def ask(store, text=QUESTION[0], **options):
    """Return what a query found, and whether it had to do without the index."""
    answer = await store.query(text, **(QUESTION[1] | options))
    return [(hit.node.id, hit.node.version, hit.relevance) for hit in answer], answer.degraded


async def filled(path: Path, make) -> ChromaStore:
    store = ChromaStore(path)
    await store.put(list(sentences(make, 40)))
    await store.put([make(f"n{n}", "hotel temple", access=n % 3) for n in range(0, 40, 7)])
    assert await store.settled(PATIENCE), store.index.reason
    return store


@pytest.fixture(scope="module")
async def indexed(tmp_path_factory, make):
    """A store with its index up, shared: every test leaves it so."""
    store = await filled(tmp_path_factory.mktemp("indexed") / "store", make)
    yield store
    await store.aclose()


class TestIndex:
    async def test_answers_like_the_store_in_memory(self, indexed, make):
        memory = MemoryStore()
        await memory.put(list(sentences(make, 40)))
        await memory.put([make(f"n{n}", "hotel temple", access=n % 3) for n in range(0, 40, 7)])
        for text in ("hotel in kyoto", "battery report", "temple market train", "n17"):
            for access, theta, k in [(0, 0, 5), (1, 0.1, 40), (2, 0.3, 3), (2, 0, 40)]:
                asked = {"access": access, "theta": theta, "k": k}
                assert await ask(indexed, text, **asked) == await ask(memory, text, **asked)

    async def test_a_vector_far_from_all_others_is_found(self, tmp_path, make):
        """What Chroma's own settings missed once in 15 questions."""
        draw, store = random.Random(0), ChromaStore(tmp_path)
        vocabulary = [
            f"{a}{b}" for a in "ka to mi ru ne so".split() for b in "lem dor pas gim tun fex".split()
        ]
        texts = [" ".join(draw.sample(vocabulary, 6)) + f" f{n}" for n in range(3000)]
        await store.put([make(f"n{n}", text) for n, text in enumerate(texts)])
        assert await store.settled(PATIENCE), store.index.reason
        for n in range(0, 3000, 15):
            found = await store.query(f"f{n}", access=0, theta=0.3, k=2)
            wanted = [
                c.id for c in await store.explain(f"f{n}", access=0, theta=0.3, k=2) if c.verdict == "given"
            ]
            assert ([hit.node.id for hit in found], found.degraded) == (wanted, False)
        await store.aclose()

    async def test_of_equal_ones_the_oldest_come_and_none_is_missed(self, tmp_path, make):
        store = ChromaStore(tmp_path)
        await store.put([make(f"{n:03}", "a hotel in Kyoto") for n in range(200)])
        assert await store.settled(PATIENCE), store.index.reason
        for k in (3, 40, 150, 200):
            found = await store.query("hotel", access=0, k=k)
            assert [hit.node.id for hit in found] == [f"{n:03}" for n in range(k)]
        await store.aclose()

    async def test_it_is_ready_again_while_others_write(self, tmp_path, make):
        store = ChromaStore(tmp_path)
        await store.put([make("a", "hotel kyoto")])
        assert await store.settled(PATIENCE), store.index.reason
        os.kill(store.index.child.pid, signal.SIGKILL)
        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as group:

                async def write():
                    for n in itertools.count():
                        await store.put([make(f"n{n}", f"station {n}")])

                group.start_soon(write)
                await anyio.sleep(0.2)
                while (await ask(store))[1]:  # noqa: ASYNC110 (nobody tells when it is ready)
                    await anyio.sleep(0.05)
                group.cancel_scope.cancel()
        await store.aclose()

    @pytest.mark.parametrize("count", [n * index_module.CHUNK for n in (1, 2)])
    async def test_it_is_ready_after_the_last_chunk_full_or_not(self, tmp_path, make, count):
        store = ChromaStore(tmp_path)
        await store.put([make(f"n{n}", f"station {n}") for n in range(count)])
        assert await store.settled(PATIENCE), store.index.reason
        await store.aclose()

    async def test_outdated_versions_in_the_index_never_show(self, indexed, make, monkeypatch):
        push = index_module.Child.change
        monkeypatch.setattr(index_module.Child, "change", lambda child, rows, gone: push(child, rows, ()))
        for number in range(40):
            await indexed.put([make("old", f"quokka {number}", access=5)])
        await indexed.put([make("far", "a quokka far away from the station", access=5)])
        assert await indexed.settled(PATIENCE)
        found, degraded = await ask(indexed, "quokka", access=5, k=2, theta=0.2)
        assert [(id, version) for id, version, _ in found] == [("old", 40), ("far", 1)]
        assert not degraded

    async def test_space_is_cosine_and_levels_have_their_own_collections(self, indexed):
        with closing(sqlite3.connect(indexed.path / "index" / "chroma.sqlite3")) as db:
            rows = dict(db.execute("SELECT name, schema_str FROM collections"))
        assert {"level_0", "level_1", "level_2"} <= set(rows)
        assert all(set(re.findall(r'"space": ?"(\w+)"', schema)) == {"cosine"} for schema in rows.values())

    @pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
    async def test_index_process_killed_or_hanging(self, indexed, monkeypatch, how):
        before, degraded = await ask(indexed)
        assert (len(before) > 3, degraded) == (True, False)
        pid = indexed.index.child.pid
        with monkeypatch.context() as patch:
            if how == signal.SIGSTOP:
                patch.setattr(index_module, "DEADLINE", 0.2)
            os.kill(pid, how)
            assert await ask(indexed) == (before, True)
        assert await indexed.settled(PATIENCE), indexed.index.reason
        assert indexed.index.child.pid != pid
        assert await ask(indexed) == (before, False)

    async def test_what_is_put_while_the_index_is_away_is_found_and_indexed(self, indexed, make):
        os.kill(indexed.index.child.pid, signal.SIGKILL)
        await indexed.put([make("new", "wombat burrow")])
        assert [id for id, *_ in (await ask(indexed, "wombat", theta=0.3))[0]] == ["new"]
        assert await indexed.settled(PATIENCE), indexed.index.reason
        found, degraded = await ask(indexed, "wombat", theta=0.3)
        assert ([id for id, *_ in found], degraded) == (["new"], False)

    async def test_an_index_that_never_starts_leaves_a_working_store(self, tmp_path, make, monkeypatch):
        def fail(*_):
            raise OSError("no more processes")

        monkeypatch.setattr(index_module, "Child", fail)
        store = ChromaStore(tmp_path)
        await store.put([make("later", "hotel kyoto")])
        assert not await store.settled(PATIENCE)
        assert "no more processes" in store.index.reason
        assert await ask(store) == ([("later", 1, 1.0)], True)
        await store.aclose()

    @pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs Linux's pidfd_open")
    async def test_owner_killed(self, tmp_path):
        with subprocess.Popen(  # noqa: ASYNC220 (nothing else runs on this loop)
            [sys.executable, "-c", OWNER, tmp_path], stdout=subprocess.PIPE, text=True
        ) as owner:
            child = int(owner.stdout.readline())
            owner.send_signal(signal.SIGKILL)
        assert child
        assert ended(child)
        store = ChromaStore(tmp_path)
        assert (await ask(store, "hotel"))[0][0][:2] == ("a", 1)
        await store.aclose()


class TestDirectory:
    async def test_everything_is_there_after_reopening(self, chroma, make, result):
        nodes = [make("a", "hotel", tags={"t"}), make("b", "bar", parent="a", access=2), result("plan", "go")]
        await chroma.put(nodes)
        await chroma.put([make("a", "hotel in Kyoto", tags={"t", "u"})])
        before = await ask(chroma, "hotel bar", access=2, theta=0)
        await chroma.aclose()

        store = ChromaStore(chroma.path)
        store.index.start = lambda: None
        assert (await store.get("a", access=0)) == make(
            "a", "hotel in Kyoto", tags=frozenset("tu"), version=2
        )
        assert [n.id for n in await store.children("a", access=2)] == ["b"]
        assert (await store.result_of("r1", "plan", 1, access=0)).text == "go"
        assert await ask(store, "hotel bar", access=2, theta=0) == before
        await store.aclose()


class TestGroupCommit:
    async def test_writers_of_one_moment_share_commits_and_a_refused_one_hurts_nobody(self, chroma, make):
        outcomes = {}

        async def write(number: int) -> None:
            parent = "nobody" if number == 7 else None
            try:
                outcomes[number] = await chroma.put([make(f"n{number}", f"hotel {number}", parent=parent)])
            except InvalidInput as error:
                outcomes[number] = str(error)

        async with anyio.create_task_group() as group:
            for number in range(100):
                group.start_soon(write, number)
        assert "nobody" in outcomes.pop(7)
        assert outcomes == dict.fromkeys(set(range(100)) - {7}, (1,))
        assert chroma._authority.commits <= 5
        assert len(await chroma.roots("travel", access=0)) == 99

    async def test_writers_of_one_node_get_consecutive_versions(self, chroma, make):
        versions = []

        async def write() -> None:
            versions.extend(await chroma.put([make("a", "hotel")]))

        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(write)
        assert sorted(versions) == list(range(1, 21))

    async def test_a_cancelled_writer_leaves_all_or_nothing_and_the_store_usable(self, chroma, make):
        async with anyio.create_task_group() as group:
            for number in range(10):
                group.start_soon(chroma.put, [make(f"{number}x", "x"), make(f"{number}y", "y")])
            await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()
        assert await chroma.put([make("after", "hotel")]) == (1,)
        ids = {node.id for node in await chroma.roots("travel", access=0)}
        assert {f"{id[0]}y" for id in ids if id.endswith("x")} == {id for id in ids if id.endswith("y")}

    async def test_a_failed_commit_reaches_every_writer_and_nothing_is_written(self, chroma, make):
        await chroma.put([make("a")])
        chroma._authority._writer.execute("PRAGMA query_only=1")  # as a full or read-only disk would
        failed = []

        async def write(number: int) -> None:
            try:
                await chroma.put([make(f"n{number}")])
            except StoreError as error:
                failed.append(str(error))

        async with anyio.create_task_group() as group:
            for number in range(5):
                group.start_soon(write, number)
        assert len(failed) == 5
        chroma._authority._writer.execute("PRAGMA query_only=0")
        assert await chroma.put([make("b")]) == (1,)
        assert [node.id for node in await chroma.roots("travel", access=0)] == ["a", "b"]
