"""Several edits at once: what is previewed is what will happen, and it happens once."""

from __future__ import annotations

import pytest

from dyntaskmas_nb import Kit
from dyntaskmas_nb.core.delta import ReviseTask
from dyntaskmas_nb.core.event import DeltaApplied

PLAN = {"subtasks": [{"id": "a"}, {"id": "b", "depends_on": ["a"]}, {"id": "c"}]}


@pytest.fixture
def run():
    with Kit(clock="virtual", home=None) as kit:
        yield kit.start(PLAN, paused=True)


def applied(run):
    return [event.version for event in run._machine.log if isinstance(event, DeltaApplied)]


def test_it_is_rebased_where_what_it_touches_is_untouched(run):
    edits = run.batch()
    edits.revise("a", complexity=3.0)
    run.revise("c", complexity=9.0)
    run.add_task("new", id="new")
    tried = edits.preview()
    assert tried
    assert edits.commit()
    assert run.graph == tried.after.graph


def test_its_preview_refuses_what_commit_would(run):
    edits = run.batch()
    edits.revise("a", complexity=3.0)
    run.revise("a", complexity=9.0)
    tried, done = edits.preview(), edits.commit()
    assert (bool(tried), bool(done)) == (False, False)
    assert tried.reason == done.reason
    assert tried.after == tried.before
    assert run.graph["a"].complexity == 9


def test_committed_within_its_block_it_is_applied_once(run):
    before = applied(run)
    with run.batch() as edits:
        edits.add_task("x", id="x")
        first = edits.commit()
        assert edits.commit() is first
        late = edits.add_task("y", id="y")
        assert (bool(late), "applied already" in late.reason) == (False, True)
    assert applied(run) == [*before, first.version]
    assert run.graph.tasks.keys() == {*"abcx"}
    assert edits.receipt is first


def test_one_that_was_refused_within_its_block_is_not_tried_again(run):
    with run.batch() as edits:
        edits.revise("a", complexity=3.0)
        run.revise("a", complexity=9.0)
        assert not edits.commit()
        log = run.log_lines()
    assert run.log_lines() == log


def test_a_change_is_tried_against_the_version_it_was_made_for(run):
    seen = run.snapshot().seq
    run.revise("a", complexity=9.0)
    change = ReviseTask(id="a", changes={"complexity": 2.0})
    assert run.preview(change)
    assert not run.preview(change, base=seen)
    assert run.preview(change, base=run.snapshot().seq)
    assert run.what_if.revise("c", complexity=2.0, base=seen)
    assert run.what_if.revise("a", complexity=2.0, base=seen).reason == run.apply(change, base=seen).reason


def test_the_versions_are_those_of_the_edits(run):
    run.revise("a", complexity=9.0)
    assert not run.remove_task("nowhere")
    last = run.remove_task("c").version
    assert run.versions() == applied(run)
    assert len(run.versions()) == 3, "the plan's, and two of ours"
    assert run.versions(last) == [last]
    assert run.versions(last + 1) == []
