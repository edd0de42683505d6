"""M(t) as a user holds it (§III-D, Table III): every figure with its unit and definition, as tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from dyntaskmas_nb.awm.figures import FIGURES, AgentFigures, Figures, MachineFigures, RoleFigures
from dyntaskmas_nb.awm.tally import WINDOW
from dyntaskmas_nb.view.words import count, duration, fit, markup, number, printable, tag

#: Rows of agents and roles that are shown; `agents`, `roles` and `to_records` are complete.
ROWS = 30


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Metrics:
    """M(t): the figures of the whole run and of the window, shown as tables.

    Attributes
    ----------
    t : as of when, in seconds of the run's own time; `seq` events had happened.
    whole, recent : of all attempts that are over, and of the last `WINDOW` of them.
    agents, roles, machine : a row each; `machine` without samples is empty.
    seconds_per_information : T_t as measured, None before anything was handed over.
    """

    t: float
    seq: int
    whole: Figures
    recent: Figures
    agents: tuple[AgentFigures, ...]
    roles: tuple[RoleFigures, ...]
    seconds_per_information: float | None
    machine: tuple[MachineFigures, ...]

    def to_records(self) -> list[dict[str, Any]]:
        """One flat dict a figure, for `pandas.DataFrame`; `of` names an agent, a role or a GPU.

        `window` is "run", "recent" or, of a sample, "last".
        """
        keys = ("name", "of", "value", "unit", "window", "definition")
        return [dict(zip(keys, row, strict=True)) for row in self._rows()]

    def _rows(self) -> Iterator[tuple[str, str, float | None, str, str, str]]:
        for name, unit, definition in FIGURES:
            yield name, "", getattr(self.whole, name), unit, "run", definition
            yield name, "", getattr(self.recent, name), unit, "recent", definition
        meaning = "T_t: handing_over ÷ information on the incoming dependencies, the latest counting most"
        yield "seconds_per_information", "", self.seconds_per_information, "s/unit", "run", meaning
        what = {name: (unit, definition) for name, unit, definition in FIGURES}
        for agent in self.agents:
            for name in ("utilisation", "done", "failed", "stopped", "context_switches", "tokens", "cost"):
                unit, definition = what[name]
                yield name, agent.agent, getattr(agent, name), unit, "run", definition
            unit, definition = what["utilisation"]
            yield "utilisation", agent.agent, agent.recent_utilisation, unit, "recent", definition
            yield "slots", agent.agent, agent.slots, "", "last", "tasks it may do at once"
        for role in self.roles:
            yield "seconds_per_unit", role.role, role.seconds_per_unit, "s/unit", "run", "T_c"
            yield (
                "spread",
                role.role,
                role.spread,
                "×",
                "run",
                "two of three: T_c ÷ spread to T_c × spread",
            )
        for one in self.machine:
            yield "busy", one.name, one.busy, "share", "last", "share of all cores, or of time"
            yield "busy", one.name, one.busy_mean, "share", "recent", "its mean"
            yield "memory", one.name, one.memory, "bytes", "last", "of this process, or in use on the GPU"
            yield "memory", one.name, one.memory_mean, "bytes", "recent", "its mean"
            if one.power is not None:
                yield "power", one.name, one.power, "W", "last", "what the GPU draws"

    def _tables(self) -> Iterator[tuple[tuple[str, ...], list[tuple[str, ...]]]]:
        """Heads and rows of text."""
        yield (
            ("figure", "whole run", f"last {WINDOW}", "what it is"),
            [
                (name, shown(getattr(self.whole, name), unit), shown(getattr(self.recent, name), unit), what)
                for name, unit, what in FIGURES
            ],
        )
        yield (
            ("agent", "slots", "running", "utilisation", "recently", "done", "failed", "switches"),
            [
                (
                    one.agent,
                    f"{one.slots}",
                    f"{one.running}",
                    shown(one.utilisation, "share"),
                    shown(one.recent_utilisation, "share"),
                    *(f"{amount:,}" for amount in (one.done, one.failed, one.context_switches)),
                )
                for one in self.agents
            ],
        )
        rates = [(f"T_c, {one.role}", one.seconds_per_unit, f"×÷ {number(one.spread)}") for one in self.roles]
        if self.seconds_per_information is not None:
            rates.append(("T_t", self.seconds_per_information, ""))
        yield (
            ("learned", "seconds per unit", "spread"),
            [(name, duration(value), spread) for name, value, spread in rates],
        )
        yield (
            ("machine", "busy", "its mean", "memory", "its mean", "power"),
            [
                (
                    one.name,
                    shown(one.busy, "share"),
                    shown(one.busy_mean, "share"),
                    shown(one.memory, "bytes"),
                    shown(one.memory_mean, "bytes"),
                    shown(one.power, "W"),
                )
                for one in self.machine
            ],
        )

    def __repr__(self) -> str:
        parts = []
        for head, rows in self._tables():
            if rows:
                clean = [head, *([printable(cell) for cell in row] for row in rows[:ROWS])]
                widths = [min(40, max(len(row[place]) for row in clean)) for place in range(len(head))]
                widths[-1] = 0  # the last column needs no padding
                lines = ["  ".join(map(_fit, row, widths)) for row in clean]
                parts.append("\n".join(line.rstrip() for line in lines) + _left_out(rows))
        return "\n\n".join([f"M(t) at {duration(self.t)}, after {count(self.seq, 'event')}", *parts])

    def _repr_html_(self) -> str:
        parts = []
        for head, rows in self._tables():
            if rows:
                cells = tag("tr", *(tag("th", markup(name), scope="col") for name in head))
                body = (tag("tr", *(tag("td", markup(cell)) for cell in row)) for row in rows[:ROWS])
                below = [tag("caption", _left_out(rows))] if len(rows) > ROWS else []
                parts.append(tag("table", *below, cells, *body))
        return "".join(parts)


def shown(value: float | None, unit: str) -> str:
    """A figure as a person reads it.

    >>> shown(0.25, "share"), shown(90.0, "s"), shown(None, "s"), shown(1200, "tokens"), shown(2**30, "bytes")
    ('25 %', '1 min 30 s', '–', '1,200 tokens', '1,024 MiB')
    """
    if value is None:
        return "–"
    match unit:
        case "s":
            return duration(value)
        case "share":
            return f"{number(100 * value)} %"
        case "bytes":
            return f"{number(value / 2**20, 4)} MiB"
    text = f"{value:,}" if isinstance(value, int) else number(value)
    return f"{text} {unit}".rstrip()


def _fit(text: str, width: int) -> str:
    return fit(text, width) if width else text


def _left_out(rows: Sequence[object]) -> str:
    return f"\nand {len(rows) - ROWS:,} more in to_records()" if len(rows) > ROWS else ""
