"""What is told of decisions: gains from the log alone, as text, as a table, as records."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

import pytest

from dyntaskmas_nb.awm.explain import ROWS, explain_workflow
from dyntaskmas_nb.core.event import Candidate, TaskDone, WorkflowDecided

STAY = Candidate(name="as it is", makespan=30.0, score=20.5, risk=0.5, seeds=8)
MOVE = Candidate(
    name="move t5 to agent 2", rerun=("t5",), makespan=24.0, score=14.25, risk=0.25, seeds=8, cost=1.5
)
FIFO = Candidate(name="rank by fifo", settings={"policy": "fifo"}, makespan=31.0, score=21.0, seeds=1)


def decided(
    number: int = 1, verdict: str = "applied", chosen: int = 1, why: str = "4 completions"
) -> WorkflowDecided:
    reason = "move t5 to agent 2: 6 s better, in 8 of 8 futures"
    return WorkflowDecided(
        10.0, number, why, (STAY, MOVE, FIFO), chosen, verdict, reason, 99  # type: ignore[arg-type]
    )  # fmt: skip


class Cells(HTMLParser):
    """Every cell's text, and every tag."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.cells: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        self.cells[-1] += data


def test_gains_are_against_the_forecast_without_the_change() -> None:
    (one,) = explain_workflow([decided()], 25.5).decisions
    assert (one.chosen, one.predicted, one.realised) == (MOVE, 6.0, 4.5)
    (worse,) = explain_workflow([decided()], 33.0).decisions
    assert worse.realised == -3.0
    for verdict, chosen, predicted in (("kept", 0, 0.0), ("proposed", 1, 6.0)):
        (one,) = explain_workflow([decided(verdict=verdict, chosen=chosen)], 25.5).decisions
        assert (one.predicted, one.realised) == (predicted, None), "what was not made has brought nothing"


def test_decisions_come_in_order_and_one_accepted_later_once() -> None:
    log = [
        decided(1, "proposed"),
        TaskDone(10.0, "a", 1, None),
        decided(2, "kept", 0),
        decided(3, "proposed"),
        replace(decided(3), t=14.0, why="accepted by the user"),
    ]
    found = explain_workflow(log, 20.0)
    assert [(one.event.number, one.event.verdict) for one in found.decisions] == [
        (1, "proposed"),
        (2, "kept"),
        (3, "applied"),
    ]
    assert found.decisions[2].event.t == 14.0
    assert explain_workflow([], 5.0).decisions == ()


def test_as_text_it_says_what_was_tried_and_what_it_brought() -> None:
    lines = repr(explain_workflow([decided()], 25.5)).splitlines()
    assert lines[0].startswith("1. at 10 s, 4 completions: applied. move t5 to agent 2: 6 s better")
    assert lines[1].split() == "as it is f = 20.5 ends at 30 s ± 0.5; 8 futures".split()
    assert (
        lines[2].split() == "▶ move t5 to agent 2 f = 14.25 ends at 24 s ± 0.25, cost 1.5; 8 futures".split()
    )
    assert lines[3].split() == "rank by fifo f = 21 ends at 31 s; 1 future".split()
    assert lines[4].strip() == "predicted to save 6 s, saved 4.5 s"
    assert len({line.index("f =") for line in lines[1:4]}) == 1, "in columns"
    kept = repr(explain_workflow([decided(verdict="kept", chosen=0)], 25.5))
    assert "saved" not in kept
    assert "▶ as it is" in kept


def test_without_decisions_it_says_how_to_get_some() -> None:
    assert "awm='advise' or awm='auto'" in repr(explain_workflow([], 0.0))
    assert Cells(explain_workflow([], 0.0)._repr_html_()).tags.count("tr") == 1


def test_records_are_flat_and_hold_everything() -> None:
    found = explain_workflow([decided(1, "kept", 0), decided(2)], 25.5).records
    assert len(found) == 6
    assert len({tuple(row) for row in found}) == 1
    assert all(isinstance(value, str | int | float | bool | None) for row in found for value in row.values())
    assert [row["candidate"] for row in found if row["chosen"]] == ["as it is", "move t5 to agent 2"]
    assert [(row["number"], row["realised"]) for row in found if row["chosen"]] == [(1, None), (2, 4.5)]
    assert [row["futures"] for row in found[3:]] == [8, 8, 1]
    assert {row["predicted"] for row in found[3:]} == {6.0}
    assert found[4]["cost"] == 1.5


def test_names_cannot_break_the_page_or_the_terminal() -> None:
    evil = "<script>alert('1')</script>\x1b[31m\n&\""
    candidate = replace(MOVE, name=f"move {evil} to {evil}")
    event = decided(why=f"{evil} takes long")
    event.candidates, event.reason = (STAY, candidate), f"{evil} would be better"
    found = explain_workflow([event], 25.5)
    page, text = found._repr_html_(), repr(found)
    parsed = Cells(page)
    assert set(parsed.tags) == {"table", "tr", "th", "td"}
    assert "<script" not in page
    assert any("<script>alert('1')</script>" in cell for cell in parsed.cells), (
        "it is shown as it was written"
    )
    for shown in (page, text):
        assert "\x1b" not in shown
    assert len(text.splitlines()) == 4
    assert all(len(line) < 400 for line in text.splitlines())


def test_a_table_row_says_it_all() -> None:
    cells = Cells(explain_workflow([decided()], 25.5)._repr_html_()).cells
    assert cells[:7] == ["", "at", "why", "what was found", "predicted, s", "realised, s", "tried: f"]
    assert cells[7:13] == ["1", "10 s", "4 completions", "applied: " + decided().reason, "6", "4.5"]
    assert cells[13] == "as it is: 20.5; move t5 to agent 2: 14.25; rank by fifo: 21"
    kept = Cells(explain_workflow([decided(verdict="kept", chosen=0)], 25.5)._repr_html_()).cells
    assert kept[11:13] == ["", ""]


@pytest.mark.parametrize("count", [ROWS, ROWS + 7])
def test_only_the_last_are_shown_of_many(count: int) -> None:
    found = explain_workflow([decided(number) for number in range(1, count + 1)], 25.5)
    assert Cells(found._repr_html_()).tags.count("tr") == 1 + ROWS
    text = repr(found)
    assert text.count("4 completions") == ROWS
    assert f"\n{count}. at" in text
    assert ("7 earlier ones are in .decisions" in text) == (count > ROWS)
    assert len(found.records) == 3 * count
