"""Alg. 3 by postings against Alg. 3 as a loop, whatever was added, replaced and removed before."""

from __future__ import annotations

import math
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dyntaskmas_nb.errors import InvalidInput
from dyntaskmas_nb.sacms.distribution import Subscription, Subscriptions, tag_relevance
from dyntaskmas_nb.sacms.node import MAX_COUNT, MAX_TAGS

AGENTS = tuple("abcdefgh")
#: Few, so that sets meet; as many as make every Jaccard index that the thresholds below sit on exactly.
TAGS = st.frozensets(st.sampled_from("hotel kyoto price food train gion".split()), max_size=6)
THETAS = st.sampled_from([0, 0.0, 1 / 6, 0.2, 0.25, 1 / 3, 0.5, 2 / 3, 0.75, 1]) | st.floats(0, 1)
LEVELS = st.integers(0, 3)

subscriptions = st.builds(Subscription, agent=st.sampled_from(AGENTS), tags=TAGS, access=LEVELS, theta=THETAS)
#: What happens, in order: a subscription is added or replaces one, an agent leaves, a node is distributed.
histories = st.lists(
    st.one_of(subscriptions, subscriptions, st.sampled_from(AGENTS), st.tuples(TAGS, LEVELS)), max_size=40
)


def by_loop(agents: Iterable[Subscription], tags: frozenset[str], access: int) -> list[tuple[str, float]]:
    """Alg. 3, lines 2 to 7, as printed but for the access test."""
    found = [
        (agent.agent, len(tags & agent.tags) / max(1, len(tags | agent.tags)), agent) for agent in agents
    ]
    kept = [(name, value) for name, value, agent in found if value > agent.theta and access <= agent.access]
    return sorted(kept, key=lambda each: (-each[1], each[0]))


def replay(history: list[Subscription | str | tuple[frozenset[str], int]]):
    """Carry out `history`; yield the index, what it should hold, and each node distributed on the way."""
    known, model = Subscriptions(), dict[str, Subscription]()
    for step in history:
        match step:
            case Subscription():
                known.add(step)
                model[step.agent] = step
            case str():
                assert known.remove(step) == (model.pop(step, None) is not None)
            case (tags, access):
                yield known, model, tags, access
        assert len(known) == len(model)
        assert all(known.get(agent) == model.get(agent) for agent in AGENTS)
    for access in range(4):
        yield known, model, frozenset({"hotel", "kyoto", "price"}), access


@settings(max_examples=max(400, settings().max_examples))
@given(histories)
def test_names_whom_the_loop_names(history):
    for known, model, tags, access in replay(history):
        assert known.recipients(tags, access) == by_loop(model.values(), tags, access)


@settings(max_examples=max(200, settings().max_examples))
@given(histories)
def test_nobody_is_named_for_a_node_above_its_level(history):
    """Checked against what was last said of each agent, not against another matching."""
    for known, model, tags, access in replay(history):
        for agent, _ in known.recipients(tags, access):
            assert model[agent].access >= access


@given(histories)
def test_forgets_what_is_removed(history):
    *_, (known, *_) = replay(history)
    for agent in AGENTS:
        known.remove(agent)
    assert not known._postings
    assert len(known._free) == len(known._sizes) <= len(AGENTS)


@given(TAGS, TAGS)
def test_relevance_is_jaccard(a, b):
    assert tag_relevance(a, b) == tag_relevance(b, a) == len(a & b) / max(1, len(a | b))
    assert tag_relevance(a, a) == bool(a)


def subscription(**fields) -> Subscription:
    return Subscription(**{"agent": "a", "tags": frozenset({"hotel"}), "access": 0, "theta": 0.0} | fields)


def test_an_agent_that_was_downgraded_is_told_no_more():
    known = Subscriptions()
    known.add(subscription(access=2))
    assert known.recipients({"hotel"}, access=2) == [("a", 1.0)]
    known.add(subscription(access=1))
    assert known.recipients({"hotel"}, access=2) == []
    assert known.recipients({"hotel"}, access=1) == [("a", 1.0)]


def test_relevance_must_exceed_the_threshold():
    known = Subscriptions()
    known.add(subscription(agent="at", theta=0.5))
    known.add(subscription(agent="below", theta=math.nextafter(0.5, 0)))
    known.add(subscription(agent="other", tags=frozenset({"food"})))
    known.add(subscription(agent="nothing", tags=frozenset()))
    assert known.recipients({"hotel", "kyoto"}, access=0) == [("below", 0.5)]
    assert known.recipients(set(), access=0) == []


def test_the_order_does_not_depend_on_that_of_adding():
    everyone = [
        subscription(agent=agent, tags=frozenset({"hotel", *agent})) for agent in ("xy", "b", "z", "a")
    ]
    wanted = [("a", 0.5), ("b", 0.5), ("z", 0.5), ("xy", 1 / 3)]
    for these in (everyone, everyone[::-1]):
        known = Subscriptions()
        for each in these:
            known.add(each)
        assert known.recipients({"hotel"}, access=0) == wanted


def test_the_highest_level_there_is():
    known = Subscriptions()
    known.add(subscription(access=MAX_COUNT))
    assert known.recipients({"hotel"}, access=MAX_COUNT) == [("a", 1.0)]


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"agent": " "}, "the agent of a subscription is empty"),
        ({"agent": 7}, "the agent of a subscription is int"),
        ({"tags": {"hotel"}}, "tags of agent 'a' must be a frozenset"),
        (
            {"tags": frozenset(map(str, range(MAX_TAGS + 1)))},
            "tags of agent 'a' must be a frozenset of at most",
        ),
        ({"tags": frozenset({""})}, "a tag of agent 'a' is empty"),
        ({"tags": frozenset({"x\0"})}, "a tag of agent 'a' holds a NUL"),
        ({"access": True}, "access of agent 'a' is True"),
        ({"access": -1}, "access of agent 'a' is -1"),
        ({"access": MAX_COUNT + 1}, "access of agent 'a' is"),
        ({"theta": True}, "θ of agent 'a' is True"),
        ({"theta": 1.1}, "θ of agent 'a' is 1.1"),
        ({"theta": math.nan}, "θ of agent 'a' is nan"),
        ({"theta": "0.5"}, "θ of agent 'a' is '0.5'"),
    ],
)
def test_refuses_what_is_no_subscription(fields, named):
    with pytest.raises(InvalidInput, match=named):
        subscription(**fields)


@pytest.mark.parametrize("access", [True, -1, None, 1.0])
def test_refuses_what_is_no_level(access):
    """Also with nobody to match: the check does not depend on who is there."""
    with pytest.raises(InvalidInput, match="access is"):
        Subscriptions().recipients({"hotel"}, access)
