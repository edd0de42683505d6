"""The costly figures of a live panel, the forecast and M(t), at a pace that their cost allows."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from dyntaskmas_nb.awm.explain import Decision
from dyntaskmas_nb.awm.metrics import Metrics, shown
from dyntaskmas_nb.core.snapshot import Snapshot
from dyntaskmas_nb.ui.ghosts import forecast_data, plain
from dyntaskmas_nb.view.words import printable

#: Seconds between two looks at least; or so many times as long as the last took.
PACE, SHARE = 1.0, 40
#: Samples that are kept for the charts.
KEPT = 600
#: Agents with a chart, and figures in the table, at most.
AGENTS, FIGURES = 16, 400
#: As long as a run is one of these, its time passes.
LIVE = frozenset({"planning", "running", "paused"})
CPU = "machine"  # its name among the machine's figures
#: Tasks above which the forecast is left out: simulating them would slow the run it foretells.
SIMULATED = 5_000


class Pulse:
    """Looks at a run now and then: `beat` gives what is new, `wait` says when there could be more."""

    def __init__(self, run: Any, clock: Callable[[], float] = time.monotonic) -> None:
        self._run, self._clock = run, clock
        self._next, self._seen, self._passing = 0.0, -1, False
        self._samples: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._told: dict[str, Any] = {}

    def wait(self, seq: int) -> float:
        """Seconds until `beat` has something to say of event `seq`; infinity where it has said all.

        While tasks run in real time there is always more to say, though nothing happens.
        """
        said = seq == self._seen and not self._passing
        return math.inf if said else max(0.0, self._next - self._clock())

    def beat(self, now: Snapshot) -> dict[str, Any]:
        """Forecast, figures and a sample where they are due, else nothing."""
        if self.wait(now.seq) > 0:
            return {}
        start, self._seen, self._passing = self._clock(), now.seq, False
        running = now.counts().get("running", 0)
        if now.status == "planning" and not running:
            return {}
        self._next = start + PACE  # even where something below fails
        metrics = self._run.metrics()
        sample = {"t": metrics.t, "values": plain(_values(metrics, now))}
        self._samples.append(sample)
        forecast = None
        if len(now.graph) <= SIMULATED and now.status in ("running", "paused"):
            forecast = forecast_data(self._run.preview().before)
            forecast |= {"t": now.t, "slack": self._run.slack()}
        proposals = [_proposal(one) for one in self._run.proposals()]
        self._told = plain({"forecast": forecast, "figures": _figures(metrics), "proposals": proposals})
        self._next = self._clock() + max(PACE, SHARE * (self._clock() - start))
        self._passing = running > 0 and self._run.clock == "real" and now.status in LIVE
        return {**self._told, "samples": [sample]}

    def whole(self) -> dict[str, Any]:
        """All that was said before, for a face that joins."""
        return {**self._told, "samples": list(self._samples)} if self._told else {}


def _values(metrics: Metrics, now: Snapshot) -> dict[str, float | None]:
    """What the charts draw, by name: of the window where there is one, else of the whole run."""
    recent, whole = metrics.recent, metrics.whole
    machine = {one.name: one.busy for one in metrics.machine}
    gpus = [busy for name, busy in machine.items() if name != CPU]
    return {
        "throughput": recent.throughput,
        "latency": recent.latency_mean,
        "latency_p95": recent.latency_p95,
        "queue_depth": float(now.counts().get("ready", 0)),
        "queue_wait": recent.wait_mean,
        "utilisation": recent.utilisation,
        "tokens": float(whole.tokens),
        "cost": whole.cost,
        "cpu": machine.get(CPU),
        "gpu": sum(gpus) / len(gpus) if gpus else None,
        **{f"agent:{one.agent}": one.recent_utilisation for one in metrics.agents[:AGENTS]},
    }


def _figures(metrics: Metrics) -> list[dict[str, Any]]:
    return [
        {
            "name": row["name"],
            "at": printable(row["of"]),
            "scope": row["window"],
            "value": row["value"],
            "unit": row["unit"],
            "shown": shown(row["value"], row["unit"]),
            "meaning": row["definition"],
        }
        for row in metrics.to_records()[:FIGURES]
    ]


def _proposal(decision: Decision) -> dict[str, Any]:
    """A proposal of the AWM that nobody has accepted yet."""
    return {
        "number": decision.event.number,
        "name": printable(decision.chosen.name),
        "gain": decision.predicted,
        "reason": printable(decision.event.reason, 300),
    }
