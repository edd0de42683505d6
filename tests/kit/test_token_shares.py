"""Shares of the model's tokens a minute, by agent, in a run (§III-D, Eq. 20)."""

from __future__ import annotations

import pytest

from dyntaskmas_nb import AgentSpec, Kit
from dyntaskmas_nb.errors import InvalidInput

SLOW, QUICK = AgentSpec(id="slow", roles=("slow",)), AgentSpec(id="quick", roles=("quick",))
PLAN = {
    "subtasks": [
        {"id": f"{role} {n}", "role": role, "depends_on": [f"{role} {n - 1}"] if n else []}
        for role in ("slow", "quick")
        for n in range(4)
    ]
}
MINUTE = {"tokens_per_minute": 12_000}  # each task reserves its prompt and 1,024 tokens, and takes few


def ends(run):
    return {entry.task: entry.end for entry in run.snapshot().entries}


def started(kit, **settings):
    return kit.start(PLAN, agents=[SLOW, QUICK], **settings)


def test_a_share_slows_its_agent_and_nobody_else_until_it_is_changed():
    with Kit("simulated", clock="virtual", home=None, limits=MINUTE) as kit:
        free = started(kit)
        free.result()
        assert list(ends(free).values()) == [1, 1, 2, 2, 3, 3, 4, 4]

        held = started(kit, token_shares={"slow": 0.05})
        held.result()
        assert ends(held) == {**ends(free), "slow 1": 61, "slow 2": 121, "slow 3": 181}

        changed = started(kit, token_shares={"slow": 0.05})
        changed.run_until(10.0)
        assert changed.states()["slow 1"] == "running", "it waits for the model"
        assert changed.configure(token_shares={"slow": 1.0, "quick": 0.05})
        changed.result()
        assert ends(changed) == {**ends(free), "slow 1": 61, "slow 2": 62, "slow 3": 63}

        tightened = started(kit)
        tightened.run_until(1.5)
        assert tightened.configure(token_shares={"quick": 0.05})
        tightened.result()
        assert ends(tightened) == {**ends(free), "quick 2": 62, "quick 3": 122}


def test_without_a_limit_a_share_says_nothing_and_an_odd_one_is_refused():
    with Kit("simulated", clock="virtual", home=None) as kit:
        run = started(kit, token_shares={"slow": 0.01})
        run.result()
        assert run.snapshot().t == 4
        with pytest.raises(InvalidInput, match="share above 0 and up to 1"):
            started(kit, token_shares={"slow": 1.5})
