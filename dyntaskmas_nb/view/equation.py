r"""A number with its equation: in LaTeX, with what stands in it, where the paper has it, and a sentence.

LaTeX is ours alone: it speaks of v, u and agents a, never of a task by name. What comes from users stands
beside it, escaped, where neither HTML nor MathJax reads it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from itertools import islice
from types import MappingProxyType

from dyntaskmas_nb.core.measures import Measures
from dyntaskmas_nb.core.snapshot import Snapshot
from dyntaskmas_nb.core.task import TaskId
from dyntaskmas_nb.errors import InvalidInput
from dyntaskmas_nb.view.html import foreign
from dyntaskmas_nb.view.numbers import key_numbers, measured
from dyntaskmas_nb.view.words import count, printable, tag

Operands = dict[str, float | str]

#: Tasks of a path that are named, and characters of a text that are shown.
NAMED, LONGEST = 12, 600


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class NumberExplained:
    """One number explained.

    Attributes
    ----------
    value : in `unit`; None where there is nothing to tell yet.
    latex : the equation, without dollar signs; empty for what is merely counted.
    operands : what stands in it, by symbol.
    source : where the paper has it, or whose it is.
    words : what it is.
    """

    name: str
    value: float | None
    unit: str
    latex: str
    operands: Operands
    source: str
    words: str

    def __repr__(self) -> str:
        lines = [f"{self.name} = {_value(self.value)} {self.unit}".rstrip(), self.words, self.latex]
        lines += [f"with {', '.join(f'{name} = {_value(one)}' for name, one in self.operands.items())}"]
        lines = [*(lines if self.operands else lines[:-1]), self.source]
        return "\n".join(printable(line, LONGEST) for line in lines if line)

    def _repr_html_(self) -> str:
        head = f"{self.name} = {_value(self.value)} {self.unit}"
        return tag(
            "div",
            tag("p", tag("strong", foreign(head, LONGEST))),
            equation(self.latex, self.operands),
            tag("p", foreign(self.words, LONGEST)),
            tag("p", tag("small", foreign(self.source, LONGEST))),
        )


def equation(latex: str, operands: Mapping[str, float | str]) -> str:
    """An equation and what stands in it, as HTML that MathJax typesets."""
    rows = (
        tag("tr", tag("th", foreign(name, LONGEST), scope="row"), tag("td", foreign(_value(value), LONGEST)))
        for name, value in operands.items()
    )
    math = tag("p", rf"\({escape(latex)}\)") if latex else ""
    return math + (tag("table", *rows) if operands else "")


def _value(value: float | str | None) -> str:
    if value is None:
        return "–"
    return value if isinstance(value, str) else f"{value:.6g}"


# -- what parallelism bought ---------------------------------------------------------------------------

_CHAIN = "Not the paper's: the critical path method; transfers between tasks left out"
_LATEX: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "makespan": (
            r"\mathrm{makespan} = \max_i e_i - \min_i s_i",
            "§IV-B, Table I (execution time)",
        ),
        "one after another": (
            r"S = \sum_i (e_i - s_i)",
            "§IV-B, Table I (the traditional way, at the same speed)",
        ),
        "speed-up": (r"\frac{S}{\mathrm{makespan}}", "§IV-B, Table I (traditional ÷ DynTaskMAS)"),
        "critical path": (
            r"L = \max_{p\ \mathrm{path\ in}\ G} \sum_{v \in p} t(v)",
            _CHAIN,
        ),
        "lower bound": (
            r"\max\Bigl(L,\ \frac{1}{m} \sum_{v \in V} t(v)\Bigr)",
            "Not the paper's: R. L. Graham, Bounds on multiprocessing timing anomalies, 1969",
        ),
        "utilisation": (
            r"\frac{\sum_i (e_i - s_i)}{m \cdot \mathrm{makespan}}",
            "§III-D, M(t); Table III (resource utilisation)",
        ),
    }
)
#: The key numbers that `explain_measure` knows.
MEASURED = tuple(_LATEX)


def explain_measure(snapshot: Snapshot, name: str) -> NumberExplained:
    """Explain one of `MEASURED`; raises `InvalidInput` for another name.

    e and s are when attempts ended and started, t(v) is what the last attempt at v took, in seconds.
    """
    if name not in _LATEX:
        raise InvalidInput(f"There is no number {name[:80]!r}; choose from {', '.join(MEASURED)}.")
    m, (latex, source) = measured(snapshot), _LATEX[name]
    words = next(what for known, _, what in key_numbers(m) if known == name)
    value, unit, operands = _MEASURES[name](m, snapshot)
    return NumberExplained(
        name=name, value=value, unit=unit, latex=latex, operands=operands, source=source, words=words
    )


def _makespan(m: Measures, _: Snapshot) -> tuple[float, str, Operands]:
    return m.makespan, "s", {"max e": m.first + m.makespan, "min s": m.first}


def _serial(m: Measures, now: Snapshot) -> tuple[float, str, Operands]:
    """One after another: each attempt that was not stopped, at a task that is still there."""
    times: dict[TaskId, float] = {}
    for one in now.entries:
        if one.task in now.graph and one.outcome != "stopped":
            end = now.t if one.end is None else one.end
            times[one.task] = times.get(one.task, 0.0) + end - one.start
    return m.serial, "s", _times(times)


def _speedup(m: Measures, _: Snapshot) -> tuple[float, str, Operands]:
    return m.speedup, "×", {"S": m.serial, "makespan": m.makespan}


def _path(m: Measures, _: Snapshot) -> tuple[float, str, Operands]:
    steps = [printable(id, 40) for id in islice(m.path, NAMED)]
    path = " → ".join([*steps, "…"] if len(m.path) > NAMED else steps)
    times = _times({id: m.durations[id] for id in m.path if id in m.durations})
    return m.critical_path, "s", {"p": path, **times}


def _bound(m: Measures, _: Snapshot) -> tuple[float, str, Operands]:
    return m.lower_bound, "s", {"L": m.critical_path, "Σ t(v)": sum(m.durations.values()), "m": m.slots}


def _utilisation(m: Measures, _: Snapshot) -> tuple[float, str, Operands]:
    return m.utilisation, "share", {"Σ (e − s)": m.busy, "m": m.slots, "makespan": m.makespan}


_MEASURES: Mapping[str, Callable[[Measures, Snapshot], tuple[float, str, Operands]]] = MappingProxyType(
    {
        "makespan": _makespan,
        "one after another": _serial,
        "speed-up": _speedup,
        "critical path": _path,
        "lower bound": _bound,
        "utilisation": _utilisation,
    }
)


def _times(times: Mapping[TaskId, float]) -> Operands:
    """Seconds by task, the longest ones named; they add up to the sum of all."""
    longest = sorted(times, key=lambda id: -times[id])[: NAMED if len(times) <= NAMED else NAMED - 1]
    found: dict[str, float] = {}
    for id in sorted(times, key=lambda id: id not in longest):
        others = f"t of {count(len(times) - len(longest), 'other')}"
        name = f"t({printable(id, 40)})" if id in longest else others
        found[name] = found.get(name, 0.0) + times[id]
    return {**found}
