"""The paper's Tables I–III (§IV) in three kinds of figures, not to be taken for each other.

- *printed*: the paper's.
- *calibrated*: ours in simulated or virtual time, scaled to what each table's notes say.
- *measured*: ours on the machine at hand, with the embedded Llama, in Table II with agents that sleep.

The paper's GPUs, model and task graphs are not at hand: nothing here repeats its experiments.

References
----------
DynTaskMAS, arXiv:2503.07675, §IV, Tables I–III. J. D. C. Little, "A proof for the queuing formula L = λW",
Operations Research 9(3), 1961.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from textwrap import fill
from typing import Literal, TypeAlias

from dyntaskmas_nb.apee.simulate import simulate
from dyntaskmas_nb.errors import InvalidInput
from dyntaskmas_nb.kit.kit import ClockName
from dyntaskmas_nb.kit.paper_plans import layered, travel, with_barriers
from dyntaskmas_nb.kit.paper_trials import (
    AGENTS,
    CALLS,
    SPREAD,
    makespan,
    overhead_for,
    scaling,
    systems,
    with_llama,
)
from dyntaskmas_nb.view.words import fit, number

Kind: TypeAlias = Literal["printed", "calibrated", "measured"]
Values: TypeAlias = Sequence[float | None]

SIZES, GRAPHS = (7, 25, 60), 10
SERIAL, PARALLEL, GAIN = (4.7, 9.8, 18.5), (3.7, 7.1, 12.4), (21.3, 27.6, 33.0)
AGENT_COUNTS = (4, 8, 16, 32, 128, 1024)
THROUGHPUT, LATENCY = (12.3, 23.1, 42.7, 76.4), (81.3, 86.5, 93.8, 104.2)
TASKS = len(travel())
SYSTEMS = ("serial", "AWM off", "AWM auto")
#: Figure, printed without and with DynTaskMAS.
TRAVEL = (
    ("end to end, s", 4.7, 3.7),
    ("coordination, ms", 850.0, 320.0),
    ("context switches", 42.0, 18.0),
    ("utilisation, %", 65.0, 88.0),
)

#: Notes of each table.
_ONE = (
    f"Calibrated: {GRAPHS} random graphs of each size, in layers of 1 to 12 tasks, each after 1 to 3 of the "
    "layer before, durations log-normal (σ = 0.8), scaled so that one agent takes the printed serial time; "
    f"means of their simulations on {AGENTS} agents. Gains are by upward rank. The paper tells neither its "
    "graphs nor how many agents it had here.",
    "What is printed gains far less than such graphs allow. So many seconds of overhead a task, paid in the "
    "parallel run only, would explain it; so would tasks that take so many times as long while others run; "
    "other readings fit as well.",
    "Measured: the first graph of each size, with the embedded Llama. Its agents share one model, so that a "
    "task takes longer while others run, as the last row says.",
)
_TWO = (
    f"Calibrated: latency of N agents 68.78 + 6.26·√N ms, fitted to the printed ones. By Little's law a task "
    f"takes N ÷ throughput = {CALLS} of the printed latencies: we read that as {CALLS} model calls one after "
    f"another; {CALLS} GPUs or agents that are 25 % busy fit as well. Throughput is that of the real engine "
    "under the virtual clock, which charges nothing for scheduling. Beyond 32 agents the curve is a guess.",
    "Measured: the same engine in real time, with agents that sleep as long.",
)
_THREE = (
    f"Calibrated: our plan of {TASKS} tasks for the seven roles, in virtual time; durations log-normal "
    f"(σ = {SPREAD}) about what the plan says, scaled so that serial takes the printed time. Virtual time "
    "charges nothing for coordination: a task's share is the printed sum, spread over our tasks.",
    "Measured: the same plan with the embedded Llama, medians of three turns.",
    "Serial is one agent that takes all roles; the others are one agent a role. Printed are Traditional and "
    "DynTaskMAS, without definitions. Ours: coordination is ready to dispatched, waiting for a free agent "
    "left out, and context handed in and results out, summed over the tasks; a context switch is a call of "
    "an agent with another role or first context than its last; utilisation is of agents, where the paper's "
    "text speaks of the GPU.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure of one kind: a value for each column, None where this kind has none."""

    figure: str
    kind: Kind
    values: tuple[float | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table of the paper; `notes` say what was scaled to what, and how the print is read."""

    number: int
    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...]

    def values(self, figure: str, kind: Kind) -> tuple[float | None, ...]:
        """Return the values of one row; raises `KeyError` when there is none."""
        return {(row.figure, row.kind): row.values for row in self.rows}[figure, kind]

    def __str__(self) -> str:
        width = max(len(row.figure) for row in self.rows)
        column = max(8, *(len(name) + 2 for name in self.columns))
        lines = [f"Table {'I' * self.number}: {self.title}", ""]
        lines.append(" " * (width + 12) + "".join(f"{name:>{column}}" for name in self.columns))
        last = ""
        for row in self.rows:
            cells = ["–" if value is None else number(value, 4) for value in row.values]
            figure = fit("" if row.figure == last else row.figure, width)
            lines.append(f"{figure}  {row.kind:10}" + "".join(f"{cell:>{column}}" for cell in cells))
            last = row.figure
        return "\n".join([*lines, "", *(fill(note, 88) for note in self.notes)])


def table(which: int, *, measure: bool = True) -> Table:
    """Return Table I, II or III, measured only if `measure`; raises `InvalidInput` for others."""
    tables = {1: table_one, 2: table_two, 3: table_three}
    if which not in tables:
        raise InvalidInput(f"The results of the paper are in the tables 1, 2 and 3, not {which!r:.40}.")
    return tables[which](measure=measure)


def _rows(columns: int, *given: tuple[str, Kind, Values | None]) -> tuple[Row, ...]:
    """Rows of as many `columns`: without values no row, with too few the rest None."""
    return tuple(
        Row(figure=figure, kind=kind, values=(*values, *[None] * (columns - len(values))))
        for figure, kind, values in given
        if values is not None
    )


def _told(notes: Sequence[str], measure: bool) -> tuple[str, ...]:
    return tuple(note for note in notes if measure or not note.startswith("Measured"))


def gain(seconds: Sequence[float], serial: Sequence[float]) -> list[float]:
    """By how many per cent `seconds` are less than `serial`.

    >>> [round(percent, 1) for percent in gain(PARALLEL, SERIAL)]
    [21.3, 27.6, 33.0]
    """
    return [100 * (1 - one / other) for one, other in zip(seconds, serial, strict=True)]


def table_one(*, measure: bool = True) -> Table:
    """Serial against parallel execution, by the number of subtasks."""
    sets = [[layered(n, seed, t) for seed in range(GRAPHS)] for n, t in zip(SIZES, SERIAL, strict=True)]
    rank, eq5, fifo = (
        [makespan(graphs, rule) for graphs in sets] for rule in ("upward_rank", "as_printed", "fifo")
    )
    barrier = [makespan([with_barriers(graph) for graph in graphs], "fifo") for graphs in sets]
    bound = [fmean(simulate(graph, AGENTS).lower_bound for graph in graphs) for graphs in sets]
    extra = [overhead_for(seconds, graphs) for seconds, graphs in zip(PARALLEL, sets, strict=True)]
    explained = [makespan(graphs, overhead=more) for graphs, more in zip(sets, extra, strict=True)]
    alone = together = gained = stretched = None
    if measure:
        seen = [with_llama(graphs[0]) for graphs in sets]
        alone, together, stretched = (list(each) for each in zip(*seen, strict=True))
        gained = gain(together, alone)
    rows = _rows(
        len(SIZES),
        ("serial, s", "printed", SERIAL),
        ("serial, s", "calibrated", SERIAL),
        ("serial, s", "measured", alone),
        ("DynTaskMAS, s", "printed", PARALLEL),
        ("upward rank, s", "calibrated", rank),
        ("upward rank, s", "measured", together),
        ("Eq. 5 as printed, s", "calibrated", eq5),
        ("FIFO, s", "calibrated", fifo),
        ("level barrier, s", "calibrated", barrier),
        ("lower bound, s", "calibrated", bound),
        ("gain, %", "printed", GAIN),
        ("gain, %", "calibrated", gain(rank, SERIAL)),
        ("gain, %", "measured", gained),
        ("gain at the lower bound, %", "calibrated", gain(bound, SERIAL)),
        ("overhead a task, s", "calibrated", extra),
        ("gain with that overhead, %", "calibrated", gain(explained, SERIAL)),
        ("or tasks take, times as long", "calibrated", _ratios(PARALLEL, rank)),
        ("or tasks take, times as long", "measured", stretched),
    )
    columns = tuple(f"{size} tasks" for size in SIZES)
    return Table(
        number=1,
        title="serial and parallel execution",
        columns=columns,
        rows=rows,
        notes=_told(_ONE, measure),
    )


def table_two(*, measure: bool = True) -> Table:
    """Throughput and latency, by the number of agents."""
    clocks: tuple[tuple[Kind, ClockName], ...] = (("calibrated", "virtual"), ("measured", "real"))
    found: dict[Kind, tuple[Sequence[float], Sequence[float]]] = {"printed": (THROUGHPUT, LATENCY)}
    for kind, clock in clocks[: 1 + measure]:
        pairs = [scaling(agents, clock) for agents in AGENT_COUNTS]
        found[kind] = [first for first, _ in pairs], [second for _, second in pairs]
    little = {
        kind: [x * ms / 1000 / n for x, ms, n in zip(*both, AGENT_COUNTS, strict=False)]
        for kind, both in found.items()
    }
    shares = None
    if measure:
        shares = [100 * share for share in _ratios(found["measured"][0], found["calibrated"][0])]
    rows = _rows(
        len(AGENT_COUNTS),
        *(("throughput, tasks/s", kind, both[0]) for kind, both in found.items()),
        *(("latency of a call, ms", kind, both[1]) for kind, both in found.items()),
        *(("throughput × latency ÷ N", kind, product) for kind, product in little.items()),
        ("% of the calibrated", "measured", shares),
    )
    columns = tuple(f"N={agents:,}" for agents in AGENT_COUNTS)
    return Table(
        number=2,
        title="scaling with the number of agents",
        columns=columns,
        rows=rows,
        notes=_told(_TWO, measure),
    )


def table_three(*, measure: bool = True) -> Table:
    """The seven travel agents: one for all, then each for itself without and with the AWM."""
    given: list[tuple[str, Kind, Values | None]] = []
    found: dict[Kind, list[tuple[float, ...]]] = {"calibrated": systems(SERIAL[0])}
    if measure:
        found["measured"] = systems()
    for place, (figure, without, with_it) in enumerate(TRAVEL):
        given.append((figure, "printed", (without, None, with_it)))
        given += [(figure, kind, [one[place] for one in each]) for kind, each in found.items()]
    _, without, with_it = TRAVEL[1]
    given.append(("coordination a task, ms", "calibrated", (without / TASKS, None, with_it / TASKS)))
    if measure:
        given.append(("coordination a task, ms", "measured", [one[1] / TASKS for one in found["measured"]]))
    for place, figure in enumerate(("looks of the AWM", "changes it made"), len(TRAVEL)):
        given += [(figure, kind, [one[place] for one in each]) for kind, each in found.items()]
    notes = _told(_THREE, measure)
    if not any(each[-1][len(TRAVEL)] for each in found.values()):
        notes += ("The AWM never looked at these runs: the last two columns are the same system.",)
    return Table(
        number=3, title="the travel system", columns=SYSTEMS, rows=_rows(len(SYSTEMS), *given), notes=notes
    )


def _ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    return [one / other for one, other in zip(above, below, strict=True)]
