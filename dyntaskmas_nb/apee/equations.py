r"""The equations behind the numbers of a task and of a dependency, with what stands in them now.

| number | equation | where |
|---|---|---|
| priority P(v) | of the present policy | §III-B, Eq. 5 and its deviations: `priority` |
| weight W(u, v) | Eq. 3, in both readings | §III-A: `dtgg.weights` |
| complexity C(v), information I(u, v) | given, by plan or edit | Alg. 1, lines 20 and 21 |
| slack | critical path method | not the paper's |
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isclose

from dyntaskmas_nb.apee.forecast import Forecast, Outlook, longest_paths
from dyntaskmas_nb.apee.machine import Machine
from dyntaskmas_nb.core.task import TaskId, shown
from dyntaskmas_nb.dtgg.weights import coefficients
from dyntaskmas_nb.errors import InvalidInput
from dyntaskmas_nb.view.equation import MEASURED, NumberExplained, Operands
from dyntaskmas_nb.view.words import duration

#: The numbers that `explain_number` knows: of a task, and of the dependency from one task to another.
OF_TASK, OF_EDGE = ("priority", "complexity", "slack"), ("weight", "information")
#: All that `Run.explain_number` takes.
EXPECTED = "expected end"
KINDS = (*OF_TASK, *OF_EDGE, *MEASURED, EXPECTED, "metric", "objective")
_EQ5 = "§III-B, Task Scheduler, Eq. 5"


@dataclass(frozen=True, slots=True, kw_only=True)
class Priority:
    """A task's priority by the present policy: its equation in text and in LaTeX.

    `value` is what the `operands` give now; the machine's own is that of the last turn. `successor` is the
    one that set it.
    """

    text: str
    latex: str
    operands: dict[str, float]
    value: float
    source: str
    successor: TaskId | None = None


def priority_of(machine: Machine, id: TaskId) -> Priority:
    """The equation of the present policy for task `id`."""
    name, boost = machine.ranking.policy.name, machine.graph[id].boost
    more, added = (" + boost", r" + \mathrm{boost}") if boost else ("", "")
    if name in ("upward_rank", "as_printed"):
        return (_upward_rank if name == "upward_rank" else _as_printed)(machine, id, more, added)
    order = machine.records[id].order
    came = f"it became ready as number {order}" if order else "it has not become ready"
    text, latex, source = {
        "fifo": (
            f"first in, first out: all alike{more}; {came}",
            rf"P(v) = 0{added}",
            "Not the paper's: first in, first out, beside Eq. 5 of §III-B",
        ),
        "random": (
            f"random: drawn from the seed {machine.settings.seed} and the task's id{more}",
            rf"P(v) = \mathrm{{crc32}}(\mathrm{{seed}}, v) / 2^{{32}}{added}",
            "Not the paper's: by chance, beside Eq. 5 of §III-B",
        ),
    }.get(
        name,
        (
            f"your own rule{more}",
            rf"P(v) = f\bigl(v, \mathrm{{Succ}}(v), \alpha, \beta\bigr){added}",
            "Your own rule, in place of Eq. 5 of §III-B",
        ),
    )
    operands = {"C(v)": machine.graph[id].complexity} | ({"boost": boost} if boost else {})
    return Priority(text=text, latex=latex, operands=operands, value=machine.priority(id), source=source)


def _upward_rank(machine: Machine, id: TaskId, more: str, added: str) -> Priority:
    graph, weights, task = machine.graph, coefficients(machine.settings), machine.graph[id]
    ranks = {u: machine.ranking[u] - graph[u].boost for u in graph.before(id)}
    through = {u: weights.beta * i + ranks[u] for u, i in graph.before(id).items()}
    best = max(through, key=through.__getitem__, default=None)
    rate = weights.rates.get(task.role, 1.0)
    paced, r = ("·r(v)", r"\,r(v)") if rate != 1.0 else ("", "")
    operands = {"α": weights.alpha, "C(v)": task.complexity}
    operands |= {"r(v)": rate} if paced else {}
    operands |= {"boost": task.boost} if more else {}
    if best is not None:
        operands |= {"β": weights.beta, "I": graph.information(id, best), "rank(u)": ranks[best]}
    longest = r"\max_{u \in \mathrm{Succ}(v)} \bigl(\beta\,I(v, u) + \mathrm{rank}(u)\bigr)"
    return Priority(
        text=f"upward rank α{paced}·C(v) + max over successors u of (β·I(v, u) + rank(u)){more}",
        latex=rf"P(v) = \alpha{r}\,C(v) + {longest}{added}",
        operands=operands,
        value=weights.work(task) + max([0.0, *through.values()]) + task.boost,
        source=f"{_EQ5}, read as upward rank (Topcuoglu, Hariri and Wu 2002)",
        successor=best,
    )


def _as_printed(machine: Machine, id: TaskId, more: str, added: str) -> Priority:
    graph, weights, task = machine.graph, coefficients(machine.settings), machine.graph[id]
    ranks = {u: machine.ranking[u] - graph[u].boost for u in graph.before(id)}
    edges = {u: weights.work(graph[u]) + weights.beta * i for u, i in graph.before(id).items()}
    best = max(edges, key=lambda u: edges[u] + ranks[u], default=None)
    operands = {"C(v)": task.complexity} | ({"boost": task.boost} if more else {})
    below = 0.0
    if best is not None:
        below = edges[best] + ranks[best]
        operands |= {"W(v, u)": edges[best], "P(u)": ranks[best]}
    longest = r"\max_{u \in \mathrm{Succ}(v)} \bigl(W(v, u) + P(u)\bigr)"
    return Priority(
        text=f"Eq. 5 as printed, C(v) / max over successors u of (W(v, u) + P(u)){more}",
        latex=rf"P(v) = \frac{{C(v)}}{{{longest}}}{added}",
        operands=operands,
        value=(task.complexity / below if below > 0 else task.complexity) + task.boost,
        source=f"{_EQ5}, as printed; Alg. 2, lines 7 to 11",
        successor=best,
    )


def explain_number(machine: Machine, kind: str, id: TaskId, to: TaskId, outlook: Outlook) -> NumberExplained:
    """Explain a number of task `id`, or of the dependency from `id` to `to`.

    Raises `InvalidInput` for what there is not.
    """
    if kind not in OF_TASK + OF_EDGE:
        raise InvalidInput(f"There is no number {shown(kind)}; choose from {', '.join(KINDS)}.")
    machine.graph[id]
    if kind in OF_EDGE:
        machine.graph.information(id, to)
    match kind:
        case "priority":
            return _priority(machine, id)
        case "weight":
            return _weight(machine, id, to)
        case "information":
            return _information(machine, id, to)
        case "complexity":
            return _complexity(machine, id)
    return _slack(machine, id, outlook)


def _priority(machine: Machine, id: TaskId) -> NumberExplained:
    found, value = priority_of(machine, id), machine.priority(id)
    operands: Operands = dict(found.operands)
    if found.successor is not None:
        operands["u"] = found.successor
    words = f"{found.text}; the highest is served first"
    if found.successor is not None:
        words += f"; set by its successor {found.successor!r}"
    elif "successors" in found.text:
        words += "; it has no successors, so that its own part is all"
    if not isclose(value, found.value, rel_tol=1e-9, abs_tol=1e-12):
        words += "; it is that of the last turn, edits since then count from the next one on"
    seconds = machine.ranking.policy.name == "upward_rank" and not machine.settings.as_printed
    return NumberExplained(
        name=f"priority of {id!r}",
        value=value,
        unit="s" if seconds else "",
        latex=found.latex,
        operands=operands,
        source=found.source,
        words=words,
    )


def _weight(machine: Machine, id: TaskId, to: TaskId) -> NumberExplained:
    settings, task = machine.settings, machine.graph[to]
    c, t_c, t_t = coefficients(settings), settings.seconds_per_unit, settings.seconds_per_information
    i, rate, printed = machine.graph.information(id, to), c.rates.get(task.role, 1.0), settings.as_printed
    r = r"\,r(v_j)" if rate != 1.0 else ""
    if printed:
        latex = rf"W(v_i, v_j) = \alpha{r}\,T_c\,C(v_j) + \beta\,T_t\,I(v_i, v_j)"
        latex += r",\quad \alpha = \frac{1}{T_c},\ \beta \approx \frac{1}{T_t}"
        words = "as printed: C and I are times (T_c·C and T_t·I); β is 1/T_t, moved to keep α/β from 0.5 to 2"
    else:
        latex = rf"W(v_i, v_j) = \alpha{r}\,C(v_j) + \beta\,I(v_i, v_j),\quad \alpha = T_c,\ \beta = T_t"
        words = "seconds of work at the task that waits, and of handing over what it waits for"
    operands: Operands = {
        "α": c.alpha / t_c if printed else c.alpha,
        "C(v_j)": task.complexity,
        "β": c.beta / t_t if printed else c.beta,
        "I(v_i, v_j)": i,
        "T_c": t_c,
        "T_t": t_t,
    }
    operands |= {"r(v_j)": rate} if r else {}
    return NumberExplained(
        name=f"weight of {id!r} → {to!r}",
        value=c.work(task) + c.beta * i,
        unit="" if printed else "s",
        latex=latex,
        operands=operands | {"v_i": id, "v_j": to},
        source="§III-A, Graph Structural Composition, Eq. 3" + (", as printed" if printed else ""),
        words=words + (f"; r is the pace of the role {task.role!r}" if r else ""),
    )


def _information(machine: Machine, id: TaskId, to: TaskId) -> NumberExplained:
    i, t_t = machine.graph.information(id, to), machine.settings.seconds_per_information
    return NumberExplained(
        name=f"information on {id!r} → {to!r}",
        value=i,
        unit="units",
        latex=r"I(v_i, v_j) = \mathrm{EstimateInformationTransfer}(v_i, v_j)",
        operands={"I(v_i, v_j)": i, "T_t": t_t, "v_i": id, "v_j": to},
        source="§III-A, Eq. 3 and Alg. 1, line 21",
        words=f"given by the plan or an edit; T_t·I comes to {duration(i * t_t)} of handing over",
    )


def _complexity(machine: Machine, id: TaskId) -> NumberExplained:
    task, c = machine.graph[id], coefficients(machine.settings)
    t_c, rate = machine.settings.seconds_per_unit, c.rates.get(task.role, 1.0)
    operands: Operands = {"C(v)": task.complexity, "T_c": t_c}
    operands |= {"r(v)": rate} if rate != 1.0 else {}
    seconds = duration(t_c * rate * task.complexity)
    return NumberExplained(
        name=f"complexity of {id!r}",
        value=task.complexity,
        unit="units",
        latex=r"C(v) = \mathrm{EstimateComplexity}(v)",
        operands=operands,
        source="§III-A, Eq. 3 and Alg. 1, line 20",
        words=f"given by the plan or an edit; T_c·{'r·' if rate != 1.0 else ''}C comes to {seconds} of work",
    )


def _slack(machine: Machine, id: TaskId, outlook: Outlook) -> NumberExplained:
    first, after = longest_paths(machine.graph, outlook)
    longest = max(first[u] + after[u] for u in first)
    return NumberExplained(
        name=f"slack of {id!r}",
        value=longest - first[id] - after[id],
        unit="s",
        latex=r"\mathrm{slack}(v) = L - \mathrm{head}(v) - \mathrm{tail}(v),\quad "
        r"\mathrm{head}(v) = \max_{u \in \mathrm{Pred}(v)} \bigl(\mathrm{head}(u) + t(u)\bigr),\quad "
        r"\mathrm{tail}(v) = t(v) + \max_{u \in \mathrm{Succ}(v)} \mathrm{tail}(u)",
        operands={
            "L": longest,
            "head(v)": first[id],
            "tail(v)": after[id],
            "t(v)": outlook.seconds(machine.graph[id]),
        },
        source="Not the paper's: the critical path method",
        words="how much longer it may take, or later start, before the longest path L through the graph "
        "grows; t is what tasks are expected to take",
    )


def explain_expected(forecast: Forecast, now: float) -> NumberExplained:
    """When the run is expected to end, as simulated from its state at `now` (s)."""
    return NumberExplained(
        name=EXPECTED,
        value=forecast.makespan,
        unit="s",
        latex=r"t_{\mathrm{end}} = \max_{v \in V} e(v)",
        operands={
            "now": now,
            "tasks still to start": float(len(forecast.order)),
            "critical path": " → ".join(forecast.critical_path),
        },
        source="§III-D, Eq. 18: f by simulation of the present state",
        words="the greatest expected end e(v): the present state played to its end by the engine's own "
        "simulator, with attempts as long as this run has shown so far by role and agent",
    )
