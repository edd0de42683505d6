"""What adapting the workflow buys: seeded workloads under the virtual clock, AWM off, advising and auto.

``python -m benchmarks.awm [WORKLOADS]`` (200 of each take some minutes). "advise" has a user who accepts
every proposal at once. The avoidable gap is what "off" takes above the bound of `benchmarks.worlds`; the
share recovered is by how much of it the AWM shortened all runs of a kind together.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path
from statistics import fmean, median, quantiles

import anyio

from benchmarks.drivers import NoJournal
from benchmarks.meter import Row, at_least, at_most, table
from benchmarks.worlds import Degrading, Drifting, Misjudged, Noisy, Tiers, World
from dyntaskmas_nb.agents.outcome import Answer
from dyntaskmas_nb.apee.assignment import Assignment
from dyntaskmas_nb.apee.clock import VirtualClock
from dyntaskmas_nb.apee.engine import Engine
from dyntaskmas_nb.apee.machine import Machine
from dyntaskmas_nb.awm import manager as manager_module
from dyntaskmas_nb.awm.manager import Manager
from dyntaskmas_nb.core import event as events
from dyntaskmas_nb.core.command import SetAgent
from dyntaskmas_nb.core.delta import AddTasks
from dyntaskmas_nb.core.event import WorkflowDecided
from dyntaskmas_nb.core.settings import Adaptation, AgentSpec, Settings

WORKLOADS = 200
KINDS: dict[str, tuple[type[World], float | None]] = {
    "(a) drifting speeds": (Drifting, 0.5),
    "(b) one degrades": (Degrading, 0.5),
    "(c) estimates wrong by kind": (Misjudged, 0.25),
    "(c') wrong one by one": (Noisy, None),
    "(e) nothing to gain": (World, None),
}
#: Plans with two tiers have dear agents until, or from, so many completions, in steps of so many.
PLANS_STEP = 6
Plan = Callable[[int], tuple[AgentSpec, ...]]


def play(world: World, awm: Adaptation, plan: Plan | None = None) -> Machine:
    """Run a world to its end; `plan` sets agents by the number of completions."""
    clock = VirtualClock()

    async def perform(job: Assignment) -> Answer:
        return await world.perform(job, engine.now)

    machine = Machine("bench")
    engine = Engine(machine, perform, clock, NoJournal())
    manager = Manager(engine)
    edges = tuple((u, id, 0.0) for id, waits in world.dag.waits.items() for u in waits)
    delta = AddTasks(tasks=world.tasks(), dependencies=edges)

    async def accept() -> None:
        """The user of "advise"."""
        seen = [0]

        def proposed() -> bool:
            return any(one.number > seen[-1] for one in manager.known.proposals())

        while not engine.finished.is_set():
            await engine.until(proposed)
            if manager.known.proposals():
                seen.append(manager.known.decided[-1].number)
                await manager.accept()

    def follow_plan() -> None:
        assert plan
        if machine.ended:
            return
        for spec in plan(sum(isinstance(event, events.TaskDone) for event in machine.log)):
            if machine.pool.agents[spec.id].spec != spec:
                engine.hand_in(SetAgent(agent=spec))

    async def main() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(manager.run)
            if awm.mode == "advise":
                group.start_soon(accept)
            engine.watch(follow_plan if plan else manager.look)
            engine.post(events.RunStarted(0.0, "", Settings(awm=awm), world.agents()))
            engine.post(events.DeltaSubmitted(0.0, 0, delta, by="planner"))
            with clock.move():
                await engine.run()
            group.cancel_scope.cancel()

    anyio.run(main, backend="trio", backend_options={"clock": clock.trio})
    assert machine.status == "done", (machine.ended, engine.failure)
    return machine


def _changes(machine: Machine) -> tuple[int, int]:
    """Changes that were made, and those that came before the cool-down after another was over.

    A cool-down is as long as one completion for each slot took on the average by then.
    """
    slots: dict[str, int] = {}
    made = early = done = 0
    quiet = 0.0
    for event in machine.log:
        match event:
            case events.RunStarted(agents=agents):
                slots = {spec.id: spec.slots for spec in agents}
            case events.CommandSubmitted(command=SetAgent(agent=spec)):
                slots[spec.id] = spec.slots
            case events.TaskDone():
                done += 1
            case WorkflowDecided(t=t, verdict="applied", candidates=candidates, chosen=chosen):
                early += t < quiet - 1e-6
                made += 1
                then = slots | {spec.id: spec.slots for spec in candidates[chosen].agents}
                quiet = t * (1 + sum(then.values()) / max(1, done))
    return made, early


def one(kind: str, seed: int) -> dict[str, float]:
    """One workload in the three modes."""
    make = KINDS[kind][0]
    found = {"bound": make(seed).bound()}
    for mode in ("off", "advise", "auto"):
        machine = play(make(seed), Adaptation(mode=mode))  # type: ignore[arg-type]
        found[mode] = machine.log[-1].t
        if mode == "auto":
            found["changes"], found["early"] = _changes(machine)
    return found


def kind_rows(kind: str, runs: list[dict[str, float]]) -> list[Row]:
    """What the AWM did in one kind of world."""
    goal = KINDS[kind][1]
    gap = sum(run["off"] - run["bound"] for run in runs)
    rows = []
    for mode in ("off", "advise", "auto"):
        ratios = [run[mode] / run["bound"] for run in runs]
        text = f"median {median(ratios):.3f}, p95 {quantiles(ratios, n=20)[-1]:.3f}, mean {fmean(ratios):.3f}"
        rows.append(Row(f"{kind}: makespan / bound, {mode}", text))
    for mode in ("advise", "auto"):
        share = sum(run["off"] - run[mode] for run in runs) / gap
        mean = sum(run[mode] for run in runs) / sum(run["off"] for run in runs) - 1
        worst = max(run[mode] / run["off"] for run in runs) - 1
        text = f"{share:.1%}; all runs {mean:+.2%}, the worst {worst:+.1%}"
        if kind.startswith("(e)"):
            rows.append(at_most(f"  loss, {mode}", text, worst, 0.01))
        elif goal is None:
            rows.append(Row(f"  share of the avoidable gap recovered, {mode}", text))
        else:
            rows.append(at_least(f"  share of the avoidable gap recovered, {mode}", text, share, goal))
    early = sum(run["early"] for run in runs)
    per = fmean(run["changes"] for run in runs)
    rows.append(at_most("  changes within a cool-down", f"{early:.0f} ({per:.1f} changes a run)", early, 0))
    return rows


def tiers(seed: int) -> dict[str, float]:
    """(d): what "off" and "auto" cost, and the cheapest plan that meets the deadline.

    A plan has some of the dear agents until, or from, some completion on, or all the time, or never.
    """
    world = Tiers(seed)
    dear = world.agents()[: world.fast]
    total = len(world.units)

    def plan(there: int, first: int, last: int) -> Plan:
        def at(done: int) -> tuple[AgentSpec, ...]:
            on = there if first <= done < last else 0
            return tuple([AgentSpec(id=spec.id, slots=int(n < on)) for n, spec in enumerate(dear)])

        return at

    def spent(machine: Machine) -> tuple[float, float]:
        return machine.log[-1].t, machine.cost

    quick, slow = (
        spent(play(Tiers(seed), Adaptation())),
        spent(play(Tiers(seed), Adaptation(), plan(0, 0, 0))),
    )
    deadline = (quick[0] + slow[0]) / 2
    tried = [quick, slow]
    for there in range(1, len(dear) + 1):
        for cut in range(0, total, PLANS_STEP):
            tried.append(spent(play(Tiers(seed), Adaptation(), plan(there, cut, total))))
            tried.append(spent(play(Tiers(seed), Adaptation(), plan(there, 0, cut))))
    cheapest = min(cost for t, cost in tried if t <= deadline)
    found = {"deadline": deadline, "off": quick[1], "cheapest": cheapest}
    for mode in ("advise", "auto"):
        aim = Adaptation(mode=mode, deadline=deadline)  # type: ignore[arg-type]
        machine = play(Tiers(seed), aim)
        found[f"{mode} t"], found[mode] = spent(machine)
        found["changes"], found["early"] = _changes(machine)
    return found


def tier_rows(runs: list[dict[str, float]]) -> list[Row]:
    """What meeting a deadline costs."""
    rows = []
    off = [run["off"] / run["cheapest"] for run in runs]
    rows.append(Row("(d) two tiers: cost / cheapest plan, off", f"median {median(off):.3f}"))
    for mode in ("advise", "auto"):
        ratios = [run[mode] / run["cheapest"] for run in runs]
        late = sum(run[f"{mode} t"] > run["deadline"] * 1.0001 for run in runs)
        total = sum(run[mode] for run in runs) / sum(run["cheapest"] for run in runs)
        p95 = quantiles(ratios, n=20)[-1]
        text = f"all {total:.3f}, median {median(ratios):.3f}, p95 {p95:.3f}; {late} of {len(runs)} late"
        rows.append(at_most(f"  cost / cheapest plan, {mode}", text, total, 1.1))
    early = sum(run["early"] for run in runs)
    rows.append(at_most("  changes within a cool-down", f"{early:.0f}", early, 0))
    return rows


def decision_rows(tasks: int = 1_000) -> list[Row]:
    """What one decision costs on so many tasks that are still to be done, and how long it holds others up."""
    slices: list[float] = []
    whole: list[float] = []
    original = manager_module.sliced

    async def sliced(work):  # type: ignore[no-untyped-def]
        begun = last = time.thread_time()
        while True:
            try:
                next(work)
            except StopIteration as end:
                slices.append(time.thread_time() - last)
                whole.append(time.thread_time() - begun)
                return end.value
            if (now := time.thread_time()) - last > manager_module.SLICE:
                slices.append(now - last)
                await anyio.lowlevel.checkpoint()
                last = time.thread_time()

    manager_module.sliced = sliced
    try:
        world = Degrading(0, tasks)
        machine = play(world, Adaptation(mode="auto", every=tasks // 10))
    finally:
        manager_module.sliced = original
    decided = [event for event in machine.log if isinstance(event, WorkflowDecided)]
    tried = len(decided[0].candidates)
    text = f"{whole[0]:.2f} s, {tried} candidates; longest of {len(whole)}: {max(whole):.2f} s"
    ms = sorted(1e3 * each for each in slices)
    slice_text = f"p50 {median(ms):.1f}, p99 {ms[int(len(ms) * 0.99)]:.1f}, longest {ms[-1]:.1f} ms"
    return [
        at_most(f"a decision on {tasks:,} tasks, CPU", text, max(whole), 1, "s"),
        at_most("  its slices, CPU", slice_text, ms[int(len(ms) * 0.99)], 5, "ms"),
    ]


def rows(workloads: int = WORKLOADS) -> list[Row]:
    """All kinds."""
    made = decision_rows()
    with ProcessPoolExecutor() as pool:
        for kind in KINDS:
            made += kind_rows(kind, list(pool.map(partial(one, kind), range(workloads), chunksize=5)))
            print(table(made[-6:]), flush=True)
        made += tier_rows(list(pool.map(tiers, range(workloads), chunksize=5)))
    return made


def main() -> None:
    """Measure, print, write."""
    start = time.perf_counter()
    workloads = int(sys.argv[1]) if len(sys.argv) > 1 else WORKLOADS
    made = rows(workloads)
    print(table(made))
    print(f"{workloads} workloads of each kind; {time.perf_counter() - start:.0f} s.")
    out = Path("out", "bench-awm.json")
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps([asdict(row) for row in made], indent=1) + "\n")


if __name__ == "__main__":
    main()
