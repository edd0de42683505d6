"""The journal: nothing lost, one transaction a turn, and one sentence when the file cannot be used."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dyntaskmas_nb.apee.history import replay
from dyntaskmas_nb.apee.journal import Journal, RunInfo
from dyntaskmas_nb.core.codec import encode
from dyntaskmas_nb.core.event import Event, RunEnded, StateChanged, TaskDone, TurnEnded
from dyntaskmas_nb.core.task import TaskState
from dyntaskmas_nb.errors import InvalidInput, StoreError
from tests.strategies import events


def info(run: str, created: str = "2026-01-01T00:00:00Z") -> RunInfo:
    return RunInfo(run=run, created=created, request="Plan", status="running", clock="real")


@pytest.fixture(params=["file", "memory"])
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Journal]:
    with closing(Journal(tmp_path / "deep" / "runs.db" if request.param == "file" else None)) as made:
        yield made


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(turns=st.lists(st.lists(events, max_size=4), max_size=4), number=st.integers(0, 10**9))
def test_every_event_comes_back_in_order(journal: Journal, turns: list[list[Event]], number: int) -> None:
    run = f"run {number}"
    journal.open_run(info(run))
    written: list[Event] = []
    for turn in [[TurnEnded(0.0)], *turns]:
        journal.append(run, len(written), turn)
        written += turn
    try:
        assert journal.events(run) == written
    finally:
        forget(journal, run)


def forget(journal: Journal, run: str) -> None:
    """Hypothesis may draw a name again."""
    if isinstance(journal, Journal):
        journal._db.executescript("DELETE FROM runs; DELETE FROM turns")
        journal._numbers.clear()
        journal._ours.clear()


def test_runs_and_their_status(journal: Journal) -> None:
    for run, created in (("one", "2026-01-01"), ("two", "2026-01-02"), ("three", "2026-01-03")):
        journal.open_run(info(run, created))
    journal.append("one", 0, [TurnEnded(0.0), RunEnded(0.0, "failed"), TurnEnded(0.0)])
    journal.append("two", 0, [TurnEnded(0.0)])
    assert standing(journal) == {"one": "failed", "two": "running"}, "a run without events is none"
    with pytest.raises(InvalidInput, match=r"no run 'four'.* The latest are: one, two"):
        journal.events("four")
    journal.append("one", 3, [TurnEnded(1.0)])
    assert standing(journal)["one"] == "failed", "a refused edit changes nothing"
    journal.append("one", 4, [RunEnded(1.0, "failed"), StateChanged(1.0, "a", TaskState.PENDING)])
    assert standing(journal)["one"] == "running", "an accepted one goes on"


def standing(journal: Journal) -> dict[str, str]:
    return {known.run: known.status for known in journal.runs()}


def test_the_functions_of_a_run_are_kept(journal: Journal) -> None:
    journal.open_run(replace(info("r"), functions=("cook", "*")))
    journal.append("r", 0, [TurnEnded(0.0)])
    assert journal.runs()[0].functions == ("cook", "*")


def test_a_turn_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "runs.db")
    journal.open_run(info("r"))
    journal.append("r", 0, [TurnEnded(0.0)])
    with pytest.raises(StoreError, match="went on elsewhere"):
        journal.append("r", 0, [TurnEnded(1.0), TurnEnded(2.0)])
    assert journal.events("r") == [TurnEnded(0.0)], "only what was there before"
    journal.append("r", 1, [TurnEnded(3.0)])
    journal.close()


def test_it_is_read_back_by_another_connection_while_open(tmp_path: Path) -> None:
    first = Journal(tmp_path / "runs.db")
    first.open_run(info("r"))
    first.append("r", 0, [TaskDone(0.0, "a", 1, {"kind": "TaskDone"})])
    second = Journal(tmp_path / "runs.db")
    assert second.events("r") == first.events("r") == [TaskDone(0.0, "a", 1, {"kind": "TaskDone"})]
    assert first._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert first._db.execute("PRAGMA synchronous").fetchone() == (1,)
    first.close()
    second.close()


def test_runs_may_write_at_the_same_time(journal: Journal) -> None:
    def write(run: str) -> None:
        journal.open_run(info(run))
        for turn in range(200):
            journal.append(run, turn, [TurnEnded(float(turn))])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, "abcd"))
    assert [len(journal.events(run)) for run in "abcd"] == [200] * 4


def newer(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version=99")
    db.close()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path: path.mkdir(), "cannot be opened"),
        (lambda path: path.write_bytes(b"this is no database, not at all" * 50), "cannot be opened"),
        (newer, r"written by a newer version \(schema 99"),
    ],
)
def test_a_file_that_cannot_be_used(tmp_path: Path, spoil: Callable[[Path], object], words: str) -> None:
    path = tmp_path / "runs.db"
    spoil(path)
    before = path.read_bytes() if path.is_file() else b""
    with pytest.raises(StoreError, match=words) as caught:
        Journal(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    assert caught.value.__cause__ is None
    assert not path.is_file() or path.read_bytes() == before


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"cannot be opened .* Choose a writable directory"):
        Journal(tmp_path / "file" / "runs.db")


def test_a_read_only_directory(unwritable: Path) -> None:
    with pytest.raises(StoreError, match="cannot be opened"):
        Journal(unwritable / "runs.db")


@pytest.mark.parametrize(
    "body",
    [b"", b"[", b"{}", b'[{"kind":"Later","t":1}]', b'[{"kind":"TurnEnded"}]', b"[[]]", b'[["TaskDone",1]]',
     b'[["TurnEnded",1]]', b'[["TaskDone",1,"a",1,null,0,0,0,0,0,0]]', b'[[["TaskDone"]]]'],
)  # fmt: skip
def test_a_damaged_event_is_a_store_error(tmp_path: Path, body: bytes) -> None:
    journal = Journal(tmp_path / "runs.db")
    journal.open_run(info("r"))
    journal._db.execute("INSERT INTO turns SELECT number << 32, ? FROM runs", (body,))
    with pytest.raises(StoreError, match="damaged: an event of run 'r' is unreadable"):
        journal.events("r")
    journal.close()


def test_a_closed_journal_says_so(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "runs.db")
    journal.open_run(info("r"))
    journal.close()
    with pytest.raises(StoreError, match="cannot be"):
        journal.append("r", 0, [TurnEnded(0.0)])
    with pytest.raises(StoreError, match="cannot be"):
        journal.runs()


# -- whose run it is ---------------------------------------------------------------------------------


@pytest.fixture
def two(tmp_path: Path) -> Iterator[tuple[Journal, Journal]]:
    """Two journals on one file, as two kits or processes have them; the first holds run "r"."""
    with closing(Journal(tmp_path / "runs.db")) as first, closing(Journal(tmp_path / "runs.db")) as second:
        first.open_run(info("r"))
        first.append("r", 0, [TurnEnded(0.0)])
        yield first, second


def test_a_run_that_goes_on_belongs_to_one(two: tuple[Journal, Journal]) -> None:
    first, second = two
    mine = f"'r' goes on in process {os.getpid()}"
    with pytest.raises(StoreError, match=mine):
        second.claim("r")
    with pytest.raises(StoreError, match=mine):
        second.append("r", 1, [TurnEnded(1.0)])
    assert standing(second) == {"r": "running"}
    first.release("r")
    assert standing(second) == {"r": "interrupted"}
    second.claim("r")
    with pytest.raises(StoreError, match=mine):
        first.append("r", 1, [TurnEnded(1.0)])


def test_a_holder_that_is_gone_holds_nothing(two: tuple[Journal, Journal], tmp_path: Path) -> None:
    first, second = two
    first.close()
    assert standing(second) == {"r": "interrupted"}
    second.claim("r")
    assert len(list((tmp_path / "runs.holders").iterdir())) == 1, "only the living one's file is left"


def test_a_run_that_is_over_is_nobodys_until_somebody_goes_on_with_it(two: tuple[Journal, Journal]) -> None:
    first, second = two
    first.append("r", 1, [StateChanged(1.0, "a", TaskState.DONE), RunEnded(1.0, "done")])
    second.claim("r")
    first.append("r", 3, [StateChanged(2.0, "a", TaskState.PENDING)])
    with pytest.raises(StoreError, match="goes on in process"):
        second.append("r", 4, [TurnEnded(3.0)])
    first.append("r", 4, [RunEnded(3.0, "done")])
    with pytest.raises(StoreError, match="went on elsewhere; kit"):
        second.append("r", 4, [StateChanged(3.0, "a", TaskState.PENDING)])
    assert standing(second) == {"r": "done"}, "what was refused left no trace"


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    code = f"""
import os
from pathlib import Path
from dyntaskmas_nb.apee.journal import Journal
journal = Journal(Path({str(tmp_path / "runs.db")!r}))
journal.claim("r")
print(os.getpid(), flush=True)
input()
"""
    with closing(Journal(tmp_path / "runs.db")) as journal:
        journal.open_run(info("r"))
        journal.append("r", 0, [TurnEnded(0.0)])
        journal.release("r")
        pipe = subprocess.PIPE
        process = subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe, text=True)
        with process:
            assert process.stdout
            pid = process.stdout.readline().strip()
            with pytest.raises(StoreError, match=f"'r' goes on in process {pid}"):
                journal.claim("r")
            process.kill()
            process.wait()
            assert standing(journal) == {"r": "interrupted"}
            journal.claim("r")


@pytest.mark.parametrize("holder", ["../runs.db", "7-deadbeef", "x", "7-deadbeef/../../runs.db"])
def test_a_strange_holder_is_none_and_touches_no_file(two: tuple[Journal, Journal], holder: str) -> None:
    first, second = two
    first._db.execute("UPDATE runs SET holder = ?", (holder,))
    assert standing(second) == {"r": "interrupted"}
    assert first.path.exists()


# -- versions ----------------------------------------------------------------------------------------


def test_a_journal_of_the_first_schema_is_migrated(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    with closing(sqlite3.connect(path)) as db:
        db.executescript(
            """
            PRAGMA journal_mode=WAL;
            CREATE TABLE runs (run TEXT PRIMARY KEY, created TEXT, request TEXT, status TEXT, clock TEXT);
            CREATE TABLE events (run TEXT, seq INTEGER, body BLOB, PRIMARY KEY (run, seq)) WITHOUT ROWID;
            INSERT INTO runs VALUES ('a', '2026-01-01', 'Plan', 'done', 'real'),
                ('b', '2026-01-02', 'Plan', 'interrupted', 'virtual'),
                ('c', '2026-01-03', '', 'running', 'real');
            INSERT INTO events SELECT run, 0, '{"kind":"TurnEnded","t":0.5}' FROM runs;
            PRAGMA user_version=1;
            """
        )
    with closing(Journal(path)) as journal, closing(Journal(path)) as other:
        assert standing(journal) == {"a": "done", "b": "interrupted", "c": "interrupted"}
        assert journal.events("b") == [TurnEnded(0.5)]
        assert journal.runs()[1] == replace(info("b", "2026-01-02"), status="interrupted", clock="virtual")
        journal.claim("b")
        with pytest.raises(StoreError, match="goes on in process"):
            other.claim("b")


def test_a_run_of_the_second_schema_goes_on_as_if_this_version_had_written_it(tmp_path: Path) -> None:
    """The rows are those that schema 2 kept of a run with edits, failures, approvals, `any` and an undo."""
    path, rows = tmp_path / "runs.db", Path(__file__).with_name("schema2.jsonl").read_bytes().splitlines()
    with closing(Journal(path)) as journal, journal._db as db:
        db.executescript("DROP TABLE turns; DROP TABLE runs; PRAGMA user_version=2")
        db.execute(
            "CREATE TABLE runs (run TEXT PRIMARY KEY, created, request, status, clock, functions, holder)"
        )
        db.execute("CREATE TABLE events (run TEXT, seq INTEGER, body BLOB, PRIMARY KEY (run, seq))")
        runs = [
            ("other", "2026-01-02", "", "done", "real", "", ""),
            ("r", "2026-01-01", "t", "done", "real", "*", ""),
        ]
        db.executemany("INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?, ?)", runs)
        db.executemany("INSERT INTO events VALUES ('r', ?, ?)", reversed(list(enumerate(rows))))
        db.execute("INSERT INTO events VALUES ('other', 0, '{')")
    with closing(Journal(path)) as journal:
        assert standing(journal) == {"r": "done", "other": "done"}
        log = journal.events("r")
        with pytest.raises(StoreError, match="damaged: an event of run 'other' is unreadable"):
            journal.events("other")
        journal.append("r", len(log), [TurnEnded(9.0)])
    assert len(rows) - 60 < len(log) < len(rows)
    assert list(map(encode, replay("r", log).log)) == list(map(encode, log)), "bases, versions and all"


# -- no space ----------------------------------------------------------------------------------------


def test_a_full_disk_refuses_a_turn_whole_and_takes_it_later(tmp_path: Path) -> None:
    big = TaskDone(1.0, "a", 1, "x" * 200_000)
    with closing(Journal(tmp_path / "runs.db")) as journal:
        journal.open_run(info("r"))
        journal.append("r", 0, [TurnEnded(0.0)])
        journal._db.execute("PRAGMA max_page_count = 20")
        for _ in range(2):
            with pytest.raises(StoreError, match=r"cannot be written \(.*full\)") as caught:
                journal.append("r", 1, [TurnEnded(1.0), big])
            assert caught.value.retryable
        assert journal.events("r") == [TurnEnded(0.0)]
        journal._db.execute("PRAGMA max_page_count = 1000000")
        journal.append("r", 1, [TurnEnded(1.0), big])
        assert journal.events("r") == [TurnEnded(0.0), TurnEnded(1.0), big]
    with pytest.raises(StoreError) as closed:
        journal.append("r", 3, [TurnEnded(2.0)])
    assert not closed.value.retryable
