"""The journal: nothing lost, one transaction a turn, and one sentence when the file cannot be used."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dyntaskmas_nb.apee.journal import Journal, RunInfo
from dyntaskmas_nb.core.event import Event, TaskDone, TurnEnded
from dyntaskmas_nb.errors import InvalidInput, StoreError
from tests.strategies import events


def info(run: str, created: str = "2026-01-01T00:00:00Z") -> RunInfo:
    return RunInfo(run=run, created=created, request="Plan", status="running", clock="real")


@pytest.fixture(params=["normal", "full", "memory"])
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Journal]:
    in_memory = request.param == "memory"
    made = Journal() if in_memory else Journal(tmp_path / "deep" / "runs.db", request.param)
    yield made
    made.close()


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
    journal._db.execute("DELETE FROM events WHERE run = ?", (run,))


def test_runs_and_their_status(journal: Journal) -> None:
    for run, created in (("one", "2026-01-01"), ("two", "2026-01-02")):
        journal.open_run(info(run, created))
    journal.set_status("one", "done")
    assert [(known.run, known.status) for known in journal.runs()] == [("one", "done"), ("two", "running")]
    with pytest.raises(InvalidInput, match=r"no run 'three'.* The latest are: one, two"):
        journal.events("three")


def test_a_turn_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "runs.db")
    journal.open_run(info("r"))
    journal.append("r", 0, [TurnEnded(0.0)])
    with pytest.raises(StoreError, match="cannot be written"):
        journal.append("r", 2, [TurnEnded(1.0), TurnEnded(2.0), *_colliding(journal)])
    assert journal.events("r") == [TurnEnded(0.0), TurnEnded(5.0)], "only what was there before"
    journal.append("r", 1, [TurnEnded(3.0)])
    journal.close()


def _colliding(journal: Journal) -> list[Event]:
    """Put an event where the third of the next turn will want to go."""
    journal.append("r", 4, [TurnEnded(5.0)])
    return [TurnEnded(4.0)]


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


@pytest.mark.parametrize("body", [b"", b"{", b'{"kind":"Later","t":1}', b'{"kind":"TurnEnded"}'])
def test_a_damaged_event_is_a_store_error(tmp_path: Path, body: bytes) -> None:
    journal = Journal(tmp_path / "runs.db")
    journal.open_run(info("r"))
    journal._db.execute("INSERT INTO events VALUES ('r', 0, ?)", (body,))
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
