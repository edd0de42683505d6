"""Hypothesis strategies for the nouns, shared by the tests of core, dtgg and apee.

Ids come from a small alphabet, so that random edits often meet: some apply, some are refused. Numbers are
multiples of a quarter, so that sums of times are exact and two clocks can be compared bit by bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from dyntaskmas_nb.core.command import (
    Approve,
    Break,
    CancelRun,
    CancelTask,
    Command,
    Configure,
    Inject,
    Pause,
    Reject,
    Resume,
    RetryTask,
    SetAgent,
    StepOnce,
)
from dyntaskmas_nb.core.delta import (
    AddDependency,
    AddTask,
    AddTasks,
    Batch,
    Delta,
    ExpandTask,
    RemoveDependency,
    RemoveTask,
    RemoveTasks,
    ReviseDependency,
    ReviseTask,
    SetJoin,
)
from dyntaskmas_nb.core.event import (
    AgentHired,
    BreakpointHit,
    Candidate,
    CommandApplied,
    CommandRejected,
    CommandSubmitted,
    ContextGiven,
    ContextNote,
    DeltaApplied,
    DeltaRejected,
    DeltaSubmitted,
    Event,
    GpuSample,
    MachineSampled,
    MonitorDecided,
    PlanFailed,
    ResultsShared,
    RunEnded,
    RunReopened,
    RunStarted,
    StateChanged,
    TaskDispatched,
    TaskDone,
    TaskFailed,
    TaskStopped,
    TurnEnded,
    Woke,
    WorkflowDecided,
)
from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.settings import AgentSpec, Settings
from dyntaskmas_nb.core.task import Join, Resource, Task, TaskState

NAMES = tuple("abcdefgh")
FRESH = ("x", "y", "z")
ROLES = ("cook", "waiter")

ids = st.sampled_from(NAMES + FRESH)
quarters = st.integers(0, 12).map(lambda n: n / 4)
positive_quarters = st.integers(1, 12).map(lambda n: n / 4)
text = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=8)
integers = st.integers(-(2**63), 2**64 - 1)
numbers = st.floats(allow_nan=False, allow_infinity=False)

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | integers | numbers | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)

#: Results that look like what the codec writes itself; they must stay data.
hostile = st.sampled_from(
    [
        {"kind": "TaskDone", "t": 0, "task": "a", "attempt": 1, "result": {"kind": "Pause"}},
        {"kind": "AddTask"},
        {
            "delta": {"kind": "RemoveTask", "id": "a"},
            "deltas": [1],
            "inverse": None,
            "command": {"kind": "no"},
        },
        {"changes": {"resources": [1, 2]}},
        [{"kind": "Batch", "deltas": "x"}],
    ]
)
results = json_values | hostile

joins = st.one_of(
    st.sampled_from([Join(), Join(kind="any"), Join(kind="first_valid")]),
    st.integers(1, 3).map(lambda k: Join(kind="k_of_n", k=k)),
)
resources = st.lists(st.builds(Resource, key=st.sampled_from("PQ"), exclusive=st.booleans()), max_size=2).map(
    tuple
)


def tasks(id: str | st.SearchStrategy[str] = ids) -> st.SearchStrategy[Task]:
    """Valid tasks called `id`."""
    return st.builds(
        Task,
        id=st.just(id) if isinstance(id, str) else id,
        description=text,
        role=st.sampled_from(ROLES),
        complexity=quarters,
        boost=st.sampled_from([0.0, 0.0, 1.5, -2.0]),
        critical=st.booleans(),
        resources=resources,
        timeout=st.none() | positive_quarters,
        attempts=st.integers(1, 3),
        approval=st.sampled_from([False] * 7 + [True]),
        join=joins,
        inputs=st.none() | results,
    )


def plain_tasks(id: str) -> st.SearchStrategy[Task]:
    """Tasks of which only the complexity varies."""
    return st.builds(Task, id=st.just(id), complexity=quarters)


@st.composite
def graphs(draw: st.DrawFn, min_size: int = 0, max_size: int = 8, task: Any = tasks) -> TaskGraph:
    """Acyclic graphs; which way the edges run differs from the order of the tasks."""
    names = draw(st.permutations(NAMES[: draw(st.integers(min_size, min(max_size, len(NAMES))))]))
    pairs = [(u, v) for n, u in enumerate(names) for v in names[n + 1 :]]
    edges = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=14)) if pairs else []
    return TaskGraph.of([draw(task(id)) for id in sorted(names)], [(u, v, draw(quarters)) for u, v in edges])


changes = st.fixed_dictionaries(
    {},
    optional={
        "description": text,
        "role": st.sampled_from(ROLES),
        "complexity": quarters,
        "boost": quarters,
        "critical": st.booleans(),
        "resources": resources,
        "timeout": st.none() | positive_quarters,
        "attempts": st.integers(1, 3),
        "inputs": results,
    },
)
nonsense = st.sampled_from(
    [
        {"complexity": -1.0},
        {"attempts": 0},
        {"id": "q"},
        {"colour": 1},
        {"role": ""},
        {"timeout": 0.0},
        {"resources": []},
    ]
)


def deltas(known: Sequence[str] = NAMES, *, bad: bool = True, depth: int = 2) -> st.SearchStrategy[Delta]:
    """Edits of every kind around the tasks `known`; with `bad` also some that no graph accepts."""
    old = (
        st.sampled_from(sorted(known))
        if known and not bad
        else st.sampled_from(sorted(known) * 3 + ["x", "y"])
    )
    some = st.dictionaries(old, quarters, max_size=3)
    new = st.sampled_from(FRESH) if not bad else ids
    parts = st.lists(st.sampled_from(FRESH), min_size=0 if bad else 1, max_size=3, unique=True)
    single = st.one_of(
        st.builds(AddTask, task=tasks(new), after=some, before=some),
        st.builds(AddTask, task=tasks(new), after=some),
        st.builds(RemoveTask, id=old),
        additions(st.one_of(new, old), new),
        st.builds(RemoveTasks, ids=st.lists(old, max_size=3, unique=not bad).map(tuple)),
        st.builds(AddDependency, before=old, after=old, information=quarters),
        st.builds(RemoveDependency, before=old, after=old),
        st.builds(
            ReviseDependency, before=old, after=old, information=quarters | st.just(-1.0) if bad else quarters
        ),
        st.builds(ReviseTask, id=old, changes=changes | nonsense if bad else changes),
        st.builds(SetJoin, id=old, join=joins),
        parts.flatmap(lambda names: expansions(old, names)),
    )
    if not depth:
        return single
    inner = deltas(known, bad=bad, depth=depth - 1)
    return single | st.builds(Batch, deltas=st.lists(inner, max_size=4).map(tuple))


@st.composite
def additions(draw: st.DrawFn, any_id: st.SearchStrategy[str], new: st.SearchStrategy[str]) -> AddTasks:
    """Several tasks at once, joined to each other and to what there is; sometimes in a circle."""
    names = draw(st.lists(new, max_size=3, unique=True))
    ends = st.one_of(any_id, st.sampled_from(names)) if names else any_id
    edges = draw(st.lists(st.tuples(ends, ends, quarters), max_size=3)) if names else []
    return AddTasks(tasks=tuple(draw(tasks(name)) for name in names), dependencies=tuple(edges))


@st.composite
def expansions(draw: st.DrawFn, old: st.SearchStrategy[str], names: list[str]) -> ExpandTask:
    """A task replaced by tasks called `names`, sometimes in a circle."""
    pairs = [(u, v) for u in names for v in names if u != v]
    edges = draw(st.lists(st.sampled_from(pairs), max_size=2, unique=True)) if pairs else []
    return ExpandTask(
        id=draw(old),
        tasks=tuple(draw(tasks(name)) for name in names),
        dependencies=tuple((u, v, draw(quarters)) for u, v in edges),
    )


specs = st.builds(
    AgentSpec,
    id=text | st.sampled_from(["agent 1", "agent 2"]),
    roles=st.lists(st.sampled_from([*ROLES, "*"]), min_size=1).map(tuple),
    slots=st.integers(0, 3),
)

commands: st.SearchStrategy[Command] = st.one_of(
    st.builds(Pause, hard=st.booleans()),
    st.just(Resume()),
    st.builds(StepOnce, until=st.sampled_from(["dispatch", "completion"])),
    st.builds(Break, id=ids, when=st.sampled_from(["before", "after"]), on=st.booleans(), once=st.booleans()),
    st.builds(RetryTask, id=ids),
    st.builds(Approve, id=ids),
    st.builds(Reject, id=ids, why=text),
    st.builds(Inject, id=ids, text=text),
    st.builds(CancelTask, id=ids),
    st.builds(CancelRun, reason=text),
    st.builds(SetAgent, agent=specs),
    st.builds(
        Configure,
        changes=st.fixed_dictionaries(
            {},
            optional={
                "policy": st.sampled_from(["upward_rank", "as_printed", "fifo", "random", "none such"]),
                "rates": st.dictionaries(st.sampled_from(ROLES), positive_quarters, max_size=2),
                "pins": st.dictionaries(ids, st.sampled_from(["agent 1", "agent 2", "nobody"]), max_size=2),
                "extra_attempts": st.integers(-1, 2),
                "routing": st.sampled_from(["off", "frozen"]),
            },
        ),
    ),
)

settings = st.builds(Settings, seed=st.integers(-9, 9), seconds_per_unit=positive_quarters)
_t, _n = numbers, st.integers(0, 99)

notes = st.builds(ContextNote, id=ids, version=_n, tokens=_n, relevance=st.none() | numbers)
gpus = st.builds(GpuSample, name=text, busy=numbers, memory=_n, memory_total=_n, power=st.none() | numbers)
candidates = st.builds(
    Candidate,
    name=text,
    settings=st.dictionaries(text, results, max_size=2),
    agents=st.lists(specs, max_size=2).map(tuple),
    rerun=st.lists(ids, max_size=2).map(tuple),
    makespan=numbers,
    seeds=_n,
)
gaps = st.lists(st.tuples(text, text), max_size=2).map(tuple)
events: st.SearchStrategy[Event] = st.one_of(
    st.builds(RunStarted, _t, text, settings, st.lists(specs, max_size=2).map(tuple), st.booleans()),
    st.builds(RunReopened, _t),
    st.builds(DeltaSubmitted, _t, _n, deltas(), st.none() | _n, text),
    st.builds(CommandSubmitted, _t, _n, commands, text),
    st.builds(PlanFailed, _t, text, text),
    st.builds(TaskDone, _t, ids, _n, results, _n),
    st.builds(TaskFailed, _t, ids, _n, text, st.booleans(), _n),
    st.builds(TaskStopped, _t, ids, _n, st.booleans()),
    st.builds(
        MonitorDecided, _t, ids, _n, st.sampled_from(["retry", "reassign", "skip", "ask", "rule"]), text
    ),
    st.builds(ContextGiven, _t, ids, _n, st.lists(notes, max_size=2).map(tuple), gaps, _n, st.booleans()),
    st.builds(MachineSampled, _t, numbers, _n, st.lists(gpus, max_size=2).map(tuple)),
    st.builds(
        WorkflowDecided,
        _t,
        _n,
        text,
        st.lists(candidates, max_size=2).map(tuple),
        _n,
        st.sampled_from(["kept", "proposed", "applied"]),
        text,
        _n,
    ),
    st.builds(ResultsShared, _t, text, st.dictionaries(ids, results, max_size=3)),
    st.builds(Woke, _t, ids),
    st.builds(TurnEnded, _t),
    st.builds(DeltaApplied, _t, _n, _n, deltas(bad=False)),
    st.builds(DeltaRejected, _t, _n, text),
    st.builds(CommandApplied, _t, _n),
    st.builds(CommandRejected, _t, _n, text),
    st.builds(AgentHired, _t, specs),
    st.builds(TaskDispatched, _t, ids, _n, text, numbers, _t),
    st.builds(StateChanged, _t, ids, st.sampled_from(TaskState), text),
    st.builds(BreakpointHit, _t, ids, st.sampled_from(["before", "after"])),
    st.builds(RunEnded, _t, st.sampled_from(["done", "failed", "cancelled"]), text),
)
