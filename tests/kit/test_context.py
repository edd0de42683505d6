"""A run's context store as its user looks into it: in memory, and on Chroma."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dyntaskmas_nb import AgentSpec, Kit, Run
from dyntaskmas_nb.errors import InvalidInput, StoreError
from dyntaskmas_nb.kit import glimpses
from dyntaskmas_nb.sacms.change import Delete
from dyntaskmas_nb.sacms.node import MAX_COUNT, ContextNode, NodeId, Provenance, result_id

TRIP = {
    "task": "A trip to Kyoto",
    "subtasks": [
        {"id": "hotel", "description": "Find a hotel in Kyoto"},
        {"id": "plan", "description": "Write the plan", "depends_on": ["hotel"]},
    ],
}
AGENTS = [AgentSpec(id="high", access=2), AgentSpec(id="low", slots=0)]


def work(task, context):
    return f"done: {task.description}"


def finished(kit: Kit) -> Run:
    run = kit.start(TRIP, agents=AGENTS)
    run.result(60)
    return run


@pytest.fixture(params=["memory", "chroma", "virtual"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Run]:
    home = tmp_path if request.param == "chroma" else None
    clock = "virtual" if request.param == "virtual" else "real"
    with Kit("simulated", agents={"*": work}, home=home, clock=clock) as kit:
        yield finished(kit)


def put(run: Run, *nodes: ContextNode) -> None:
    run._background.call(store_of(run).put, nodes)


def store_of(run: Run):
    return run._ask(_store)


async def _store(wiring):
    return wiring.store


def note(id: str, text: str, **more) -> ContextNode:
    return ContextNode(id=NodeId(id), text=text, **{"domain": "notes"} | more)


def test_the_tree_holds_results_and_notes_each_before_its_children(run: Run):
    put(run, note("a", "inn"), note("a1", "inn", parent="a", access=1), note("b", "inn"))
    put(run, note("a11", "inn", parent="a1", access=3), note("z", "inn", domain="!first by name"))
    tree = run.context_tree()
    mine = [(depth, glimpses.title_of(node)) for depth, node in tree.nodes[:2]]
    assert mine == [(0, "hotel"), (0, "plan")]
    assert [(depth, node.id) for depth, node in tree.nodes[2:]] == [
        (0, "z"), (0, "a"), (1, "a1"), (2, "a11"), (0, "b"),
    ]  # fmt: skip
    assert (tree.highest, tree.cut, tree.access) == (3, False, None)
    low = run.context_tree(access=0)
    assert [node.id for _, node in low.nodes] == ["z", "a", "b"], "both results are of level 2"
    assert (low.highest, low.access) == (3, 0), "its owner may know how high levels go"


def test_a_large_tree_is_cut_and_says_so(run: Run):
    put(run, *(note(f"n{number:03}", "inn") for number in range(glimpses.NODES - 2)))
    assert not run.context_tree().cut
    put(run, note("one more", "inn"))
    tree = run.context_tree()
    assert (len(tree.nodes), tree.cut) == (glimpses.NODES, True)
    assert "there are more" in repr(tree)
    assert "300 more rows are not shown" in tree._repr_html_()


def test_a_nodes_versions_tell_what_changed_and_who_made_it(run: Run):
    one = note("n", "two nights", tags=frozenset({"hotel"}), updated=1.0)
    made = Provenance(run=run.id, task="hotel", agent="high")
    put(run, one)
    put(run, replace(one, text="three nights", access=1, provenance=made, updated=2.0))
    found = run.context_node("n")
    assert [node.version for node in found.versions] == [1, 2]
    assert found.differences == (
        {},
        {"text": ("two nights", "three nights"), "access": (0, 1), "provenance": (None, made)},
    )
    assert not found.deleted
    assert [node.version for node in run.context_node("n", access=0).versions] == [1]
    run._background.call(store_of(run).write, [Delete(id=NodeId("n"))])
    assert run.context_node("n").deleted


@pytest.mark.parametrize("id", ["nowhere", "secret"])
def test_a_hidden_node_and_a_missing_one_look_alike(run: Run, id: str):
    put(run, note("secret", "inn", access=1))
    with pytest.raises(InvalidInput, match=f"no node '{id}' that level 0 may read"):
        run.context_node(id, access=0)


def test_a_query_says_why_each_node_is_given_or_not(run: Run):
    texts = {
        "far": "robot arm torque",
        "near": "a cheap hotel in Kyoto with a pool",
        "nearer": "hotel Kyoto quiet",
    }
    put(run, *(note(id, text) for id, text in texts.items()))
    put(run, replace(note("nearer", texts["nearer"]), tags=frozenset({"kyoto"})))
    put(run, note("secret", "hotel Kyoto", access=1))
    told = run.context_query("quiet hotel Kyoto", access=0, theta=0.3, k=1)
    found = {row.id: row for row in told.rows}
    assert told.given == ("nearer",)
    assert found["nearer"].why.endswith("> θ 0.3; shares kyoto")
    assert (found["near"].verdict, found["near"].why) == ("beyond k", "1 are more relevant")
    assert found["far"].verdict == "not above θ"
    assert found["far"].why.endswith("≤ θ 0.3")
    assert (found["secret"].verdict, found["secret"].why) == ("hidden", "level 1 > 0")
    relevances = [row.relevance for row in told.rows]
    assert relevances == sorted(relevances, reverse=True)
    assert {row.verdict for row in run.context_query("Kyoto").rows} <= {"given", "not above θ", "beyond k"}


def test_a_query_judges_as_the_store_answers(run: Run):
    put(run, *(note(f"n{n}", "hotel " * n + "in Kyoto", access=n % 3) for n in range(1, 9)))
    store = store_of(run)
    for access, k in ((0, 2), (1, 10), (2, 3)):
        told = run.context_query("a hotel", access=access, k=k)
        answer = run._background.call(lambda access=access, k=k: store.query("a hotel", access=access, k=k))
        assert told.given == tuple(hit.node.id for hit in answer)
        assert told.theta == answer.theta


def test_an_agent_is_given_what_its_level_and_its_run_allow(run: Run):
    tags = frozenset(f"dilution{number}" for number in range(9))
    other = Provenance(run="another", task="hotel", result=True)
    foreign = note(result_id("another", "hotel", 1), "done: Find a hotel in Kyoto", provenance=other)
    put(run, foreign, note("same", "done: Find a hotel in Kyoto", access=2, tags=tags))
    text = "Find a hotel in Kyoto"
    high, low = run.context_for("high", text), run.context_for("low", text)
    assert high.access == 2
    assert [row.title for row in high.rows if row.verdict == "given"] == ["hotel"]
    foreign_row = next(row for row in high.rows if row.id == foreign.id)
    assert (foreign_row.verdict, foreign_row.why) == ("another run's", "run another made it")
    same = next(row for row in high.rows if row.id == "same")
    assert (same.verdict, same.why) == ("left out", "says the same as another item")
    assert low.given == ()
    assert next(row for row in low.rows if row.id == "same").why == "level 2 > 0"
    with pytest.raises(InvalidInput, match=r"no agent 'nobody'\. There are 'high', 'low'"):
        run.context_for("nobody", text)


def test_other_runs_do_not_crowd_an_agents_context_out():
    with Kit("simulated", agents={"*": work}, home=None) as kit:
        run = finished(kit)
        for number in range(100):
            made = Provenance(run="another", task=f"t{number}", result=True)
            id = result_id("another", f"t{number}", 1)
            put(run, note(id, "Find a hotel in Kyoto", provenance=made))
        assert [row.title for row in run.context_for("high", "Find a hotel in Kyoto").rows[-1:]] == ["hotel"]
        assert run.context_for("high", "Find a hotel in Kyoto").given == (result_id(run.id, "hotel", 1),)


@pytest.mark.parametrize(
    "ask",
    [
        lambda run: run.context_tree(access=-1),
        lambda run: run.context_tree(access=True),
        lambda run: run.context_node("", access=0),
        lambda run: run.context_node(7),
        lambda run: run.context_query("inn", theta=1.5),
        lambda run: run.context_query("inn", theta=float("nan")),
        lambda run: run.context_query("inn", k=0),
        lambda run: run.context_query("inn", k=glimpses.NODES + 1),
        lambda run: run.context_query(None),
        lambda run: run.context_query("inn", access="1"),
        lambda run: run.context_for(None, "inn"),
        lambda run: run.context_for("high", 3),
    ],
)
def test_what_cannot_be_asked_is_refused(ask):
    with Kit("simulated", agents={"*": work}, home=None) as kit, pytest.raises(InvalidInput):
        ask(finished(kit))


def test_a_closed_kit_says_so(run: Run):
    run._kit_ref().close()
    with pytest.raises(StoreError, match="kit is closed"):
        run.context_tree()


def test_hostile_text_is_printable_and_escaped(run: Run):
    nasty = "<img src=x onerror=alert(1)>\x1b[31m\u202e"
    put(run, note(nasty, nasty, domain=nasty, tags=frozenset({nasty}), owner=nasty))
    looks = run.context_tree(), run.context_node(nasty), run.context_query("img src onerror alert", theta=0)
    for look in looks:
        assert "<img" in repr(look) or "src" in repr(look)
        assert "\x1b" not in repr(look)
        assert "\u202e" not in repr(look)
        assert "<img" not in look._repr_html_()
        assert "&lt;img" in look._repr_html_()


def test_plain_data_is_json_and_bounded(run: Run):
    one = note("n", "x" * 9_000, data={"a": "y" * 9_000}, tags=frozenset(f"tag {n}" for n in range(200)))
    for number in range(glimpses.VERSIONS + 5):
        put(run, replace(one, text=f"{number}" + one.text))
    told = run.context_node("n").to_dict()
    assert (len(told["versions"]), told["left_out"]) == (glimpses.VERSIONS, 5)
    assert [told["versions"][place]["version"] for place in (0, -1)] == [6, 55]
    last = told["versions"][-1]
    assert last["cut"]
    assert {len(last["text"]), len(last["data"])} == {glimpses.TEXT}
    assert list(last["changes"]) == ["text"]
    assert [side[:2] for side in last["changes"]["text"]] == ["53", "54"]
    assert len(json.dumps(told)) < 1_000_000
    result = run.context_node(result_id(run.id, "hotel", 1)).to_dict()
    assert result["versions"][0]["provenance"]["agent"] == "high"
    assert result["versions"][0]["data"] == "", "it only repeats the text"
    tree = run.context_tree(access=2).to_dict()
    assert tree["nodes"][0].keys() == {
        "id", "name", "title", "domain", "parent", "access", "version", "tags", "depth",
    }  # fmt: skip
    query = run.context_query("Kyoto", access=MAX_COUNT).to_dict()
    assert (query["cut"], query["rows"][0]["verdict"]) == (False, "given")
    json.dumps([tree, query], allow_nan=False)
