"""The Chroma store's own promises: it persists, it is owned, and the index may die but never lie."""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from dyntaskmas_nb.errors import StoreError
from dyntaskmas_nb.sacms import index as index_module
from dyntaskmas_nb.sacms.chroma import ChromaStore
from dyntaskmas_nb.sacms.index import State
from dyntaskmas_nb.sacms.memory import MemoryStore

WORDS = "hotel kyoto flight osaka budget train temple market report battery".split()

OWNER = """
import sys, anyio
from dyntaskmas_nb.sacms.chroma import ChromaStore
from dyntaskmas_nb.sacms.node import ContextNode

async def main():
    store = ChromaStore(sys.argv[1])
    await store.put([ContextNode(id="a", domain="travel", text="a hotel in Kyoto")])
    assert await store.settled()
    print(store.index.pid, flush=True)
    await anyio.sleep_forever()

anyio.run(main)
"""


def ended(pid: int, within: float = 30.0) -> bool:
    """Wait for a process that is not our child to end."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], within)[0])
    finally:
        os.close(handle)


def found(answer):
    return [(hit.node.id, hit.node.version, hit.relevance) for hit in answer]


def sentences(make, count: int):
    for number in range(count):
        text = " ".join(WORDS[number * step % len(WORDS)] for step in (1, 3, 7)) + f" n{number}"
        yield make(f"n{number}", text, access=number % 3)


class TestPersistence:
    async def test_everything_is_there_after_reopening(self, tmp_path, make, result):
        nodes = [make("a", "hotel", tags={"t"}), make("b", "bar", parent="a", access=2), result("plan", "go")]
        store = ChromaStore(tmp_path)
        await store.put(nodes)
        await store.put([make("a", "hotel in Kyoto", tags={"t", "u"})])
        before = await store.query("hotel bar", access=2, theta=0)
        await store.aclose()

        store = ChromaStore(tmp_path)
        assert (await store.get("a", access=0)) == make(
            "a", "hotel in Kyoto", tags=frozenset("tu"), version=2
        )
        assert [n.id for n in await store.children("a", access=2)] == ["b"]
        assert (await store.result_of("r1", "plan", 1, access=0)).text == "go"
        assert found(await store.query("hotel bar", access=2, theta=0)) == found(before)
        assert await store.settled()
        through = await store.query("hotel bar", access=2, theta=0)
        assert (found(through), through.via, through.degraded) == (found(before), "index", False)
        await store.aclose()

    async def test_starting_the_index_delays_nobody(self, chroma, make, monkeypatch):
        gate, child = threading.Event(), index_module.Child

        def late(*args):
            gate.wait()
            return child(*args)

        monkeypatch.setattr(index_module, "Child", late)
        assert chroma.index.state is State.IDLE
        await chroma.put([make("a", "hotel")])
        answer = await chroma.query("hotel", access=0)
        assert (len(answer), answer.via, answer.degraded) == (1, "exact", False)
        assert chroma.index.state is State.STARTING
        gate.set()
        assert await chroma.settled()
        assert (await chroma.query("hotel", access=0)).via == "index"

    async def test_answers_like_the_store_in_memory(self, chroma, make):
        memory = MemoryStore()
        for store in (memory, chroma):
            for node in sentences(make, 60):
                await store.put([node])
            await store.put([make(f"n{number}", "hotel temple", access=2) for number in range(0, 60, 7)])
        assert await chroma.settled()
        for text in ("hotel in kyoto", "battery report", "temple market train", "n17"):
            for access, theta, k in [(0, 0, 5), (1, 0.1, 60), (2, 0.3, 3), (2, 0, 60)]:
                ours = await chroma.query(text, access=access, theta=theta, k=k)
                assert ours.via == "index"
                assert found(ours) == found(await memory.query(text, access=access, theta=theta, k=k))

    async def test_outdated_versions_in_the_index_never_show(self, chroma, make, monkeypatch):
        monkeypatch.setattr(index_module.Child, "delete", lambda child, stale: None)
        for number in range(80):
            await chroma.put([make("a", f"hotel {number}")])
        await chroma.put([make("b", "a hotel far away from the station")])
        assert await chroma.settled()
        answer = await chroma.query("hotel", access=0, k=2, theta=0)
        assert [(h.node.id, h.node.version) for h in answer] == [("a", 80), ("b", 1)]
        assert answer.via == "index"
        with closing(sqlite3.connect(chroma.path / "context.db")) as db:
            assert db.execute("SELECT count(*) FROM vector").fetchone() == (2,)

    async def test_space_is_cosine_and_levels_have_their_own_collections(self, chroma, make):
        await chroma.put([make("a", "hotel"), make("b", "bar", access=7)])
        assert await chroma.settled()
        path = chroma.path / "index" / "chroma.sqlite3"
        with closing(sqlite3.connect(path)) as db:
            rows = dict(db.execute("SELECT name, schema_str FROM collections"))
        assert set(rows) == {"level_0", "level_7"}
        assert all(set(re.findall(r'"space": ?"(\w+)"', schema)) == {"cosine"} for schema in rows.values())


class TestOwnership:
    async def test_a_second_opener_is_told_who_has_it(self, chroma):
        code = "import sys; from dyntaskmas_nb.sacms.chroma import ChromaStore; ChromaStore(sys.argv[1])"
        done = subprocess.run(  # noqa: ASYNC221 (nothing else runs on this loop)
            [sys.executable, "-c", code, chroma.path], capture_output=True, text=True, check=False
        )
        assert done.returncode == 1
        assert f"StoreError: the context store {chroma.path} is open in process {os.getpid()}" in done.stderr
        with pytest.raises(StoreError, match=f"process {os.getpid()}"):
            ChromaStore(chroma.path)

    @pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs Linux's pidfd_open")
    async def test_owner_killed(self, tmp_path):
        with subprocess.Popen(  # noqa: ASYNC220 (nothing else runs on this loop)
            [sys.executable, "-c", OWNER, tmp_path], stdout=subprocess.PIPE, text=True
        ) as owner:
            child = int(owner.stdout.readline())
            owner.send_signal(signal.SIGKILL)
        assert ended(child)
        store = ChromaStore(tmp_path)
        assert [hit.node.id for hit in await store.query("hotel", access=0)] == ["a"]
        await store.aclose()

    @pytest.mark.skipif(not Path("/proc/self/net/tcp").exists(), reason="reads Linux's /proc")
    async def test_the_index_process_opens_no_port(self, chroma, make):
        await chroma.put([make("a", "hotel")])
        assert await chroma.settled()
        proc = Path(f"/proc/{chroma.index.pid}")
        sockets = {os.readlink(fd) for fd in (proc / "fd").iterdir() if "socket:" in os.readlink(fd)}
        tables = [
            (proc / "net" / name).read_text().splitlines()[1:] for name in ("tcp", "tcp6", "udp", "udp6")
        ]
        assert not sockets & {f"socket:[{line.split()[9]}]" for table in tables for line in table}

    def test_a_file_or_a_forbidden_place_is_refused(self, tmp_path):
        file = tmp_path / "file"
        file.write_text("hello")
        for path in (file, file / "below", Path("/proc/store")):
            with pytest.raises(StoreError, match="cannot be opened") as caught:
                ChromaStore(path)
            assert "\n" not in str(caught.value)
        assert file.read_text() == "hello"

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
    def test_a_read_only_directory_is_refused(self, tmp_path):
        tmp_path.chmod(0o500)
        with pytest.raises(StoreError, match="cannot be opened"):
            ChromaStore(tmp_path)


class TestDamage:
    @pytest.fixture
    async def filled(self, tmp_path, make):
        store = ChromaStore(tmp_path / "store")
        await store.put(list(sentences(make, 40)))
        assert await store.settled()
        answer = found(await store.query("hotel kyoto", access=1, theta=0.05))
        assert answer
        yield store, answer
        await store.aclose()

    async def ask(self, store):
        return await store.query("hotel kyoto", access=1, theta=0.05)

    async def test_index_process_killed(self, filled):
        store, before = filled
        for _ in range(3):
            pid = store.index.pid
            os.kill(pid, signal.SIGKILL)
            answer = await self.ask(store)
            assert (found(answer), answer.degraded) == (before, True)
            assert await store.settled()
            assert store.index.pid != pid
            answer = await self.ask(store)
            assert (found(answer), answer.degraded, answer.via) == (before, False, "index")

    async def test_index_process_hangs(self, filled, monkeypatch):
        monkeypatch.setattr(index_module, "SEARCH_DEADLINE", 0.2)
        store, before = filled
        os.kill(store.index.pid, signal.SIGSTOP)
        answer = await self.ask(store)
        assert (found(answer), answer.degraded) == (before, True)
        monkeypatch.undo()
        assert await store.settled()
        assert (await self.ask(store)).via == "index"

    @pytest.mark.parametrize("damage", ["gone", "emptied", "garbage", "a file"])
    async def test_index_damaged_while_closed(self, filled, damage):
        store, before = filled
        await store.aclose()
        files = store.path / "index"
        if damage == "garbage":
            for file in files.rglob("*"):
                if file.is_file():
                    file.write_bytes(b"\xff" * 5000)
        else:
            shutil.rmtree(files)
            if damage == "emptied":
                files.mkdir()
            if damage == "a file":
                files.write_text("not a directory")
        again = ChromaStore(store.path)
        answer = await self.ask(again)
        assert found(answer) == before
        assert answer.degraded or damage != "gone"
        assert await again.settled(), again.index.reason
        answer = await self.ask(again)
        assert (found(answer), answer.degraded, answer.via) == (before, False, "index")
        await again.aclose()

    async def test_index_deleted_while_open(self, filled, make):
        store, before = filled
        shutil.rmtree(store.path / "index")
        assert found(await self.ask(store)) == before
        await store.put([make("new", "hotel kyoto")])
        assert found(await self.ask(store))[0][0] == "new"
        assert await store.settled(), store.index.reason
        assert found(await self.ask(store))[1:] == before[:9]

    async def test_an_index_that_never_starts_leaves_a_working_store(self, filled, make, monkeypatch):
        store, before = filled
        await store.aclose()
        monkeypatch.setattr(
            index_module, "Child", lambda *_: (_ for _ in ()).throw(OSError("no more processes"))
        )
        again = ChromaStore(store.path)
        await again.put([make("later", "robot arm")])
        assert not await again.settled()
        assert (again.index.state, "no more processes" in again.index.reason) == (State.GIVEN_UP, True)
        answer = await self.ask(again)
        assert (found(answer), answer.degraded) == (before, True)
        await again.aclose()

    @pytest.mark.parametrize("damage", ["gone", "empty", "garbage", "truncated", "foreign", "middle"])
    async def test_authority_damaged(self, tmp_path, make, damage):
        store = ChromaStore(tmp_path)
        await store.put(list(sentences(make, 40)))
        await store.aclose()
        (tmp_path / "index").mkdir(exist_ok=True)
        database = store.path / "context.db"
        size = database.stat().st_size
        match damage:
            case "gone":
                database.unlink()
            case "empty":
                database.write_bytes(b"")
            case "garbage":
                database.write_bytes(b"\xff" * size)
            case "truncated":
                os.truncate(database, size // 2)
            case "middle":
                raw = bytearray(database.read_bytes())
                raw[4096 : size // 2] = b"\xa5" * (size // 2 - 4096)
                database.write_bytes(raw)
            case "foreign":
                database.unlink()
                with closing(sqlite3.connect(database)) as db:
                    db.execute("CREATE TABLE t(x)")
        for _ in range(2):
            with pytest.raises(StoreError) as caught:
                ChromaStore(store.path)
            assert "\n" not in str(caught.value)
        assert damage == "gone" or not database.read_bytes() or database.stat().st_size > 100


class TestGroupCommit:
    async def test_writers_of_one_moment_share_commits(self, chroma, make):
        versions = {}

        async def write(number: int) -> None:
            versions[number] = await chroma.put([make(f"n{number}", f"hotel {number}")])

        async with anyio.create_task_group() as group:
            for number in range(100):
                group.start_soon(write, number)
        assert versions == dict.fromkeys(range(100), (1,))
        assert chroma.commits <= 5
        assert len(await chroma.roots("travel", access=0)) == 100

    async def test_one_refused_writer_does_not_hurt_the_others(self, chroma, make):
        outcomes = {}

        async def write(number: int) -> None:
            try:
                outcomes[number] = await chroma.put(
                    [make(f"n{number}", parent="nobody" if number == 7 else None)]
                )
            except ValueError as error:
                outcomes[number] = str(error)

        async with anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(write, number)
        assert "nobody" in outcomes.pop(7)
        assert set(outcomes.values()) == {(1,)}
        assert len(await chroma.roots("travel", access=0)) == 19

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
        chroma._writer._db.execute("PRAGMA query_only=1")  # as a full or read-only disk would
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
        chroma._writer._db.execute("PRAGMA query_only=0")
        assert await chroma.put([make("b")]) == (1,)
        assert [node.id for node in await chroma.roots("travel", access=0)] == ["a", "b"]
