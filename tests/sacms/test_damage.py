"""Whatever happens to a store's files: the index heals, the authority is whole or refused, nothing crashes.

A damaged index costs its speed until it is rebuilt: the answers stay the same. A damaged authority is never
replaced by an empty one. A row of a table is a damage; what is done about it stands at the test.
"""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from dyntaskmas_nb.errors import DynTaskError, StoreError, StoreLocked
from dyntaskmas_nb.sacms import index as index_module
from dyntaskmas_nb.sacms.chroma import ChromaStore
from dyntaskmas_nb.sacms.distribution import Subscription
from tests.sacms.conftest import without_index

WORDS = "hotel kyoto flight osaka budget train temple market report battery".split()
PATIENCE = 100.0  # seconds: less than a test's own deadline, so that a slow machine fails nothing
NODES = 60


def sentence(make, number: int, **fields):
    text = " ".join(WORDS[number * step % len(WORDS)] for step in (1, 3, 7)) + f" n{number}"
    return make(f"n{number}", text, access=number % 3, **fields)


async def ask(store, text="hotel kyoto", k=10):
    """Return what a query found, and whether it had to do without the index."""
    answer = await store.query(text, access=1, theta=0.05, k=k)
    return [(hit.node.id, hit.node.version, hit.relevance) for hit in answer], answer.degraded


def write_at(file: Path, place: int, new: bytes) -> None:
    with file.open("r+b") as opened:
        opened.seek(place)
        opened.write(new)


def flip(file: Path, count: int, seed: int = 0) -> None:
    """Turn one bit over in each of some bytes."""
    raw, rng = bytearray(file.read_bytes()), random.Random(seed)
    for place in rng.choices(range(len(raw)), k=count) if raw else ():
        raw[place] ^= 1 << rng.randrange(8)
    file.write_bytes(raw)


def halve(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 8192 * 4096)


def segments(index: Path) -> list[Path]:
    """The files of Chroma's vectors."""
    return [file for file in index.rglob("*") if file.suffix == ".bin"]


@pytest.fixture(scope="module")
async def crashed(tmp_path_factory, make):
    """The directory of a store whose owner died, with its log; it knows 60 nodes, put ten by ten."""
    folder = tmp_path_factory.mktemp("damage")
    store = ChromaStore(folder / "store")
    for start in range(0, NODES, 10):
        await store.put([sentence(make, number) for number in range(start, start + 10)])
    assert await store.settled(PATIENCE), store.index.reason
    shutil.copytree(store.path, folder / "crashed")
    await store.aclose()
    return folder / "crashed"


@pytest.fixture(scope="module")
def closed(crashed):
    """The same after it was closed."""
    return crashed.with_name("store")


@pytest.fixture
def copy(tmp_path):
    """A copy of a directory, to be damaged."""
    return lambda folder: Path(shutil.copytree(folder, tmp_path / "copy"))


# -- the index ------------------------------------------------------------------------------------------

INDEX = {
    "gone": shutil.rmtree,
    "empty": lambda index: (shutil.rmtree(index), index.mkdir()),
    "every byte": lambda index: [
        file.write_bytes(b"\xff" * 5000) for file in index.rglob("*") if file.is_file()
    ],
    "some bits": lambda index: [flip(file, 200) for file in index.rglob("*") if file.is_file()],
    "Chroma's database gone": lambda index: (index / "chroma.sqlite3").unlink(),
    "Chroma's database emptied": lambda index: (index / "chroma.sqlite3").write_bytes(b""),
    "Chroma's database cut off": lambda index: halve(index / "chroma.sqlite3"),
    "Chroma's database, some bits": lambda index: flip(index / "chroma.sqlite3", 2000),
    "vectors gone": lambda index: [shutil.rmtree(file.parent) for file in segments(index) if file.exists()],
    "vectors emptied": lambda index: [file.write_bytes(b"") for file in segments(index)],
    "vectors cut off": lambda index: [halve(file) for file in segments(index)],
}


class TestIndex:
    """The answers are the same, at first without the index; then it is rebuilt, and exact."""

    @pytest.mark.parametrize("damage", INDEX)
    async def test_it_heals(self, closed, copy, monkeypatch, damage):
        monkeypatch.setattr(index_module, "WIPE_AT", 1)
        store = ChromaStore(closed)
        before = await ask(store)
        await store.aclose()
        path = copy(closed)
        INDEX[damage](path / "index")
        store = ChromaStore(path)
        assert await ask(store) == (before[0], True)
        assert await store.settled(PATIENCE), store.index.reason
        assert await ask(store) == (before[0], False)
        holds = store.index.child.ask({"op": "ids"})
        assert {int(id) for ids in holds.values() for id in ids} == set(store._authority.levels())
        await store.aclose()

    async def test_a_file_in_its_place(self, closed, copy):
        path = copy(closed)
        shutil.rmtree(path / "index")
        (path / "index").write_text("no directory")
        store = ChromaStore(path)
        settled = await store.settled(PATIENCE)
        await store.aclose()
        assert settled

    @pytest.mark.parametrize("damage", ["gone", "Chroma's database emptied"])
    async def test_under_a_running_store(self, closed, copy, make, damage):
        store = ChromaStore(copy(closed))
        assert await store.settled(PATIENCE)
        before, _ = await ask(store)
        INDEX[damage](store.path / "index")
        assert (await ask(store))[0] == before
        await store.put([make("late", "wombat burrow")])
        assert [id for id, *_ in (await ask(store, "wombat", k=1))[0]] == ["late"]
        await store.aclose()
        store = ChromaStore(store.path)
        assert await store.settled(PATIENCE), store.index.reason
        assert await ask(store) == (before, False)
        await store.aclose()

    async def test_the_authority_is_restored_beside_a_newer_index(self, closed, copy, make):
        path = copy(closed)
        store = ChromaStore(path)
        for start in (1000, 1300):
            await store.put([make(f"n{n}", f"station {n}") for n in range(start, start + 300)])
        assert await store.settled(PATIENCE)
        await store.aclose()
        shutil.copy(closed / "context.db", path)
        with pytest.raises(StoreError, match=r"6 of 8 commits.*deleting context.high"):
            ChromaStore(path)
        (path / "context.high").unlink()
        store = ChromaStore(path)
        animals = [make(f"m{n}", f"quokka {n}" if n % 50 == 0 else f"budget {n}") for n in range(600)]
        await store.put(animals)
        before, _ = await ask(store, "quokka")
        assert await store.settled(PATIENCE)
        after = await ask(store, "quokka")
        await store.aclose()
        assert after == (before, False)


# -- the authority --------------------------------------------------------------------------------------


def foreign(database: Path) -> None:
    database.unlink()
    with closing(sqlite3.connect(database)) as db:
        db.execute("CREATE TABLE t(x)")


def overwrite_middle(database: Path) -> None:
    half = database.stat().st_size // 2
    write_at(database, 4096, b"\xa5" * (half - 4096))


DAMAGED = "is damaged .* Restore it from a backup"
AUTHORITY = {
    "gone": (Path.unlink, DAMAGED),
    "emptied": (lambda file: file.write_bytes(b""), DAMAGED),
    "every byte": (lambda file: file.write_bytes(b"\xff" * file.stat().st_size), DAMAGED),
    "cut off": (halve, DAMAGED),
    "cut off within its header": (lambda file: os.truncate(file, 70), DAMAGED),
    "header overwritten": (lambda file: write_at(file, 0, b"\xa5" * 100), DAMAGED),
    "size of a page": (lambda file: write_at(file, 16, b"\x02\x00"), DAMAGED),
    "middle overwritten": (overwrite_middle, DAMAGED),
    "mark of the schema": (lambda file: write_at(file, 68, b"\xff"), "no context store of this version"),
    "another database": (foreign, "no context store of this version"),
    "a directory": (lambda file: (file.unlink(), file.mkdir()), DAMAGED),
}

LOG = {
    "index of the log gone": (lambda path: (path / "context.db-shm").unlink(), NODES),
    "index of the log, every byte": (
        lambda path: (path / "context.db-shm").write_bytes(b"\xff" * 32768),
        NODES,
    ),
    "header of the database": (lambda path: write_at(path / "context.db", 0, b"\xff" * 100), NODES),
    # A log cut off looks to SQLite like a commit that never ended: what comes before it is whole.
    "log cut off": (lambda path: halve(path / "context.db-wal"), None),
    "log, middle overwritten": (
        lambda path: write_at(
            path / "context.db-wal", (path / "context.db-wal").stat().st_size // 2, b"\xff" * 99
        ),
        None,
    ),
}
LOG_LOST = {
    "deleted": Path.unlink,
    "emptied": lambda file: file.write_bytes(b""),
    "every byte": lambda file: file.write_bytes(b"\xff" * file.stat().st_size),
}


class TestAuthority:
    @pytest.mark.parametrize("damage", AUTHORITY)
    async def test_it_is_refused_and_left_alone(self, closed, copy, damage):
        """One sentence says what to do; nothing is mended, and nothing empty takes its place."""
        database = copy(closed) / "context.db"
        hurt, words = AUTHORITY[damage]
        hurt(database)
        damaged = database.read_bytes() if database.is_file() else None
        for _ in range(2):
            with pytest.raises(StoreError, match=words) as caught:
                ChromaStore(database.parent)
            assert "\n" not in str(caught.value)
        assert (database.read_bytes() if database.is_file() else None) == damaged

    @pytest.mark.parametrize("damage", LOG)
    async def test_after_a_death_whole_puts_are_there(self, crashed, copy, damage):
        path = copy(crashed)
        hurt, left = LOG[damage]
        hurt(path)
        if left is None:  # refused first; then what is there is taken, if that is wanted
            with pytest.raises(StoreError, match="2 of 6 commits"):
                without_index(path)
            (path / "context.high").unlink()
        store = without_index(path)
        there = {node.id for node in await store.roots("travel", access=9)}
        await store.aclose()
        assert len(there) == NODES if left else 0 < len(there) < NODES
        assert there == {f"n{number}" for number in range(len(there))}
        assert len(there) % 10 == 0, "a put was torn"

    @pytest.mark.parametrize("damage", LOG_LOST)
    async def test_after_a_death_a_lost_log_is_noticed(self, crashed, copy, damage):
        path = copy(crashed)
        LOG_LOST[damage](path / "context.db-wal")
        with pytest.raises(StoreError, match="backup"):
            without_index(path).close()

    async def test_any_bits_are_refused_or_read(self, tmp_path, make, torture):
        """Some damage nobody can see, but whatever is seen is told as an error of ours."""
        store = without_index(tmp_path / "store")
        wanted = frozenset({"hotel"})
        await store.subscribe(Subscription(agent="a", tags=wanted, access=2, theta=0.0))
        await store.put([replace(sentence(make, n, data={"n": [n]}), tags=wanted) for n in range(NODES)])
        await store.aclose()
        raised = []
        for seed in range(2000 if torture else 120):
            path = tmp_path / str(seed)
            shutil.copytree(store.path, path)
            flip(path / "context.db", 1 + seed % 20, seed)
            try:
                await read_everything(path)
            except DynTaskError:
                pass
            except Exception as error:  # noqa: BLE001 (counted)
                raised.append((seed, repr(error)))
            shutil.rmtree(path)
        assert raised == []


async def read_everything(path: Path) -> None:
    with closing(without_index(path)) as store:
        await store.roots("travel", access=9)
        await ask(store)
        await store.deliveries("a")


# -- rights, owners, space ------------------------------------------------------------------------------

READ_ONLY = """
import os, sys
from dyntaskmas_nb.errors import StoreError
from dyntaskmas_nb.sacms.chroma import ChromaStore

os.chdir(sys.argv[1])
ChromaStore("store").close()
for path in ("store/context.db", "store", "."):
    os.chmod(path, 0o555)
if os.geteuid() == 0:  # whom no right stops
    os.seteuid(65534)
for path in ("store", "new"):
    try:
        ChromaStore(path)
    except StoreError as error:
        print(error)
"""

FULL = """
import resource, sys
from pathlib import Path
import anyio
from dyntaskmas_nb.errors import StoreError
from dyntaskmas_nb.sacms.chroma import ChromaStore
from dyntaskmas_nb.sacms.node import ContextNode

def space(most=None):
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard if most is None else most, hard))

def node(number):
    return ContextNode(id=f"n{number}", domain="d", text=f"hotel {number}")

async def main(folder):
    for most in (1, 20_000):
        space(most)
        try:
            ChromaStore(folder / str(most))
        except StoreError as error:
            print(error)
        space()
        ChromaStore(folder / str(most)).close()  # what is left over there does no harm
    store = ChromaStore(folder / "store")
    store.index.start = lambda: None
    await store.put([node(number) for number in range(20)])
    space(1)
    refused = []
    async def write(number):
        try:
            await store.put([node(number), node(number + 1)])
        except StoreError as error:
            refused.append(str(error))
    async with anyio.create_task_group() as group:
        for number in (100, 200, 300):
            group.start_soon(write, number)
    print(len(refused), refused[0])
    assert len(await store.roots("d", access=0)) == 20
    space()
    await write(100)
    assert len(await store.roots("d", access=0)) == 22 and len(refused) == 3
    await store.aclose()

anyio.run(main, Path(sys.argv[1]))
"""


def python(code: str, *words: object) -> list[str]:
    """Run code in a process of its own and return the lines that it printed."""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, words)],
        check=False,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


class TestPlace:
    async def test_a_second_opener_is_told_who_has_it(self, chroma):
        code = "import sys; from dyntaskmas_nb.sacms.chroma import ChromaStore; ChromaStore(sys.argv[1])"
        done = subprocess.run(  # noqa: ASYNC221 (nothing else runs on this loop)
            [sys.executable, "-c", code, chroma.path], capture_output=True, text=True, check=False
        )
        assert done.returncode == 1
        assert f"StoreLocked: the context store {chroma.path} is open in process {os.getpid()}" in done.stderr
        with pytest.raises(StoreLocked, match=f"process {os.getpid()}"):
            ChromaStore(chroma.path)

    async def test_who_has_it_is_told_as_far_as_it_can_be_read(self, chroma):
        (chroma.path / "owner.pid").write_bytes(b"\xff\xfe")
        with pytest.raises(StoreLocked, match="is open in process"):
            ChromaStore(chroma.path)

    @pytest.mark.parametrize("junk", [b"hello", b"\xff" * 5000, b"SQLite format 3\0" + b"\xff" * 4080])
    async def test_a_damaged_lock_may_be_deleted(self, closed, copy, junk):
        """And nothing of the store is lost with it."""
        path = copy(closed)
        (path / "owner.db").write_bytes(junk)
        with pytest.raises(StoreError, match=r"Only its lock, owner\.db, .*: delete that when no process"):
            ChromaStore(path)
        (path / "owner.db").unlink()
        with closing(without_index(path)) as store:
            assert len(store._authority.levels()) == NODES

    def test_a_file_or_a_forbidden_place_is_refused(self, tmp_path):
        file = tmp_path / "file"
        file.write_text("hello")
        for path in (file, file / "below", Path("/proc/store")):
            with pytest.raises(StoreError, match="cannot be opened") as caught:
                ChromaStore(path)
            assert "\n" not in str(caught.value)
        assert file.read_text() == "hello"

    def test_a_read_only_directory_is_refused(self, tmp_path):
        said = python(READ_ONLY, tmp_path)
        tmp_path.chmod(0o755)
        assert [line.split(":")[0] for line in said] == [
            "the context store store cannot be opened",
            "the context store new cannot be opened",
        ]
        assert all(line.endswith("Choose a directory you may write.") for line in said)


class TestFullDisk:
    async def test_nothing_is_half_written_and_it_goes_on_when_there_is_space(self, chroma, make):
        await chroma.put([make("a", "hotel")])
        chroma._authority._writer.execute("PRAGMA max_page_count = 40")
        with pytest.raises(StoreError, match=r"could not be written: .*full") as caught:
            await chroma.put([make(f"n{number}", "x" * 50_000) for number in range(20)])
        assert caught.value.retryable
        assert await chroma.get("n0", access=0) is None
        assert await ask(chroma, "hotel") == ([("a", 1, 1.0)], True)
        chroma._authority._writer.execute("PRAGMA max_page_count = 1000000")
        assert await chroma.put([make("n0", "x" * 50_000)]) == (1,)

    async def test_an_index_on_a_full_disk_leaves_exact_answers(self, tmp_path, make, monkeypatch):
        store = ChromaStore(tmp_path / "s")
        store.index.start = lambda: None
        await store.put([*(sentence(make, n) for n in range(40)), make("big", "hotel kyoto " * 50)])
        exact, _ = await ask(store)
        await store.aclose()
        spawn = subprocess.Popen

        def limited(command, **options):  # files of the index process may have 20 kB and no more
            return spawn(["sh", "-c", 'ulimit -f 40; exec "$@"', "sh", *command], **options)

        monkeypatch.setattr(index_module.subprocess, "Popen", limited)
        store = ChromaStore(tmp_path / "s")
        assert not await store.settled(PATIENCE)
        assert await ask(store) == (exact, True)
        await store.aclose()
        monkeypatch.undo()
        store = ChromaStore(tmp_path / "s")
        assert await store.settled(PATIENCE), store.index.reason
        assert await ask(store) == (exact, False)
        await store.aclose()

    @pytest.mark.skipif(sys.platform == "win32", reason="limits of a process are POSIX")
    def test_a_store_is_made_or_written_when_there_is_space(self, tmp_path):
        """Nothing of a refused put is written, reads go on, and all is well once there is space."""
        new, half, refused = python(FULL, tmp_path)
        assert "cannot be opened" in new
        assert "cannot be written" in half
        assert refused.startswith("3 the context store could not be written")
        assert "Check disk space" in refused
