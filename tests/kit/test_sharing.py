"""Context between agents in a run: what each was given, and what reaches it while it works (Alg. 3)."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from dyntaskmas_nb import AgentSpec, Kit
from dyntaskmas_nb.core.event import ContextGiven
from dyntaskmas_nb.errors import InvalidInput
from dyntaskmas_nb.sacms.distribution import Subscription

TRIP = {
    "task": "A trip to Kyoto",
    "subtasks": [
        {"id": "hotel", "description": "Find a hotel in Kyoto", "complexity": 1},
        {"id": "flights", "description": "Find a flight to Kyoto", "complexity": 3},
        {"id": "torque", "description": "Tune the robot arm torque", "complexity": 3},
        {"id": "plan", "description": "Write the plan", "depends_on": ["hotel", "flights"]},
    ],
}


def trip(given: dict, *, agents=4, **options):
    def work(task, context):
        given[task.id] = context.given
        return f"done {task.description}"

    with Kit("simulated", agents={"*": work}, home=None, clock="virtual") as kit:
        run = kit.start(TRIP, agents=agents, **options)
        run.result()
        return run


def test_what_is_written_reaches_who_works_on_the_like():
    given: dict = {}
    run = trip(given, push=0.2)
    assert given["flights"] == ["hotel: done Find a hotel in Kyoto"]
    assert given["torque"] == given["hotel"] == given["plan"] == []
    pushed = run.manifest("flights").pushed
    assert [(note.id, note.version, round(note.relevance, 2)) for note in pushed] == [
        ("result/hotel/1", 1, 0.5)
    ]
    told = [row for row in run.history().rows if "was told of" in row.what]
    assert [(row.t, row.by, row.what) for row in told] == [
        (1.0, "agent 1", "'flights' was told of 'result/hotel/1' while it worked")
    ]


@pytest.mark.parametrize("options", [{}, {"push": 0.6}, {"push": None}])
def test_nothing_is_pushed_unless_asked_for_and_relevant(options):
    given: dict = {}
    run = trip(given, **options)
    assert not any(given.values())
    assert not [event for event in run._machine.log if isinstance(event, ContextGiven)]


def test_nobody_stays_subscribed(tmp_path: Path):
    seen: list = []

    def work(task, context):
        seen.append(kit._parts.going[context.run][0])
        return "done"

    with Kit(agents={"*": work}, home=tmp_path) as kit:
        run = kit.start(TRIP, push=0.2)
        run.result(60)
        store = kit._parts.store()
        assert seen
        assert run._background.call(store.subscribers) == ()
        lost = Subscription(agent=f"{run.id}/hotel/9", tags=frozenset({"hotel"}), access=0, theta=0)
        run._background.call(store.subscribe, lost)  # as a killed process would leave it
        name = run.id
    with Kit(agents={"*": work}, home=tmp_path) as kit:
        run = kit.open_run(name)
        assert run._background.call(kit._parts.store().subscribers) == ()


def test_what_is_above_an_agents_level_does_not_reach_it():
    given: dict = {}
    high, low = AgentSpec(id="high", access=1), AgentSpec(id="low", access=0, slots=3)
    run = trip(given, agents=[high, low], push=0.0)
    done = {entry.task: entry.agent for entry in run.snapshot().entries}
    assert done["flights"] == "high", "it has the longest path, so it goes first, and to the first"
    assert given["flights"] == ["hotel: done Find a hotel in Kyoto"]
    assert not any("flight" in text for text in given["torque"] + given["hotel"])


def test_a_push_threshold_is_a_share():
    with Kit("simulated", home=None, clock="virtual") as kit:
        for push in (1.5, -0.1, True, "x"):
            with pytest.raises(InvalidInput, match="push"):
                kit.start(TRIP, push=push)


def test_a_manifest_names_what_a_llama_read_and_what_was_left_out():
    with Kit("simulated", home=None, clock="virtual") as kit:
        run = kit.start(TRIP, agents=4)
        run.result()
        found = run.manifest("plan")
        assert [(note.id, note.relevance) for note in found.items][:2] == [
            ("result/hotel/1", None), ("result/flights/1", None),
        ]  # fmt: skip
        assert found.tokens == sum(note.tokens for note in found.items) > 0
        assert (found.agent, found.attempt) == ("agent 4", 1)
        assert "result/hotel/1, version 1: its predecessor" in repr(found)
        with pytest.raises(InvalidInput, match="no task 'nobody'"):
            run.manifest("nobody")


def test_a_manifest_is_journaled_and_names_no_level_above_the_agents(tmp_path: Path):
    with Kit("simulated", home=tmp_path) as kit:
        low, high = AgentSpec(id="low", roles=("writer",)), AgentSpec(id="high", roles=("spy",), access=3)
        plan = {
            "subtasks": [
                {"id": "secret", "description": "the hotel of the spy", "role": "spy"},
                {"id": "open", "description": "the hotel of the guest", "role": "writer"},
                {
                    "id": "report",
                    "description": "report on the hotel",
                    "role": "writer",
                    "depends_on": ["open"],
                    "approval": True,
                },
            ]
        }
        run = kit.start(plan, agents=[low, high])
        while run.states() != {"secret": "done", "open": "done", "report": "ready"}:
            time.sleep(0.01)
        run.approve("report")
        run.result(60)
        name, found = run.id, run.manifest("report")
    assert "secret" not in repr(found)
    with Kit("simulated", home=tmp_path) as kit:
        assert kit.open_run(name).manifest("report") == found


def test_a_function_is_given_its_predecessors_results():
    run = trip({})
    assert [note.id for note in run.manifest("plan").items] == ["result/hotel/1", "result/flights/1"]
    assert run.manifest("hotel").items == ()


def test_the_embedder_of_a_kit_decides_what_is_relevant(tmp_path: Path):
    def same(texts):
        return [[1.0, 0.0] for _ in texts]

    with Kit("simulated", home=tmp_path, embedder=same) as kit:
        run = kit.start(TRIP, agents=1)
        run.result(60)
        assert {note.relevance for note in run.manifest("plan").items} == {None, 1.0}
    with pytest.raises(InvalidInput, match="the embedder is 3"):
        Kit("simulated", home=None, embedder=3)
