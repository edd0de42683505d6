r"""The formulas behind M(t) and f (§III-D, Eqs. 18 to 20): any figure with what stands in it.

What each figure is, `figures.FIGURES` says in words. Of an attempt i: d is its dispatch, e its end, r when
its task was ready, p when nothing but the scheduler kept it from starting any more, o its handing over. N
counts the attempts that are over, n those that were done or failed.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from dyntaskmas_nb.awm.allocator import ETA
from dyntaskmas_nb.awm.explain import Decision
from dyntaskmas_nb.awm.figures import Figures
from dyntaskmas_nb.awm.metrics import Metrics
from dyntaskmas_nb.awm.optimise import RISK
from dyntaskmas_nb.core.settings import Adaptation
from dyntaskmas_nb.core.task import shown
from dyntaskmas_nb.errors import InvalidInput
from dyntaskmas_nb.view.equation import NumberExplained, Operands

#: Before a figure's name: that of the window instead of the whole run's.
RECENT = "recent "
_MONITOR = "§III-D, Performance Monitor, M(t)"


def _least(what: str, share: str) -> str:
    return rf"\min\,\bigl\{{x : |\{{i : {what} \le x\}}| \ge {share}\bigr\}}"


#: LaTeX, and what stands in it.
_FORMULAS: Mapping[str, tuple[str, tuple[str, ...]]] = MappingProxyType(
    {
        "attempts": (r"N = n + \mathrm{stopped}", ("n", "stopped")),
        "throughput": (r"\frac{\mathrm{done}}{\mathrm{seconds}}", ("done", "seconds")),
        "completion_rate": (r"\frac{\mathrm{done}}{n}", ("done", "n")),
        "failure_rate": (r"\frac{\mathrm{failed}}{n}", ("failed", "n")),
        "retry_rate": (r"\frac{\mathrm{retries}}{N}", ("retries", "N")),
        "latency_mean": (r"\frac{1}{n} \sum_{i=1}^{n} (e_i - d_i)", ("n",)),
        "latency_p50": (_least("e_i - d_i", r"0.5\,n"), ("n",)),
        "latency_p95": (_least("e_i - d_i", r"0.95\,n"), ("n",)),
        "wait_mean": (r"\frac{1}{N} \sum_{i=1}^{N} (d_i - r_i)", ("N",)),
        "wait_p95": (_least("d_i - r_i", r"0.95\,N"), ("N",)),
        "tokens": (r"\sum_{i=1}^{N} \mathrm{tokens}_i", ("N",)),
        "cached_tokens": (r"\sum_{i\ \mathrm{done}} \mathrm{cached}_i", ("done",)),
        "cost": (r"\sum_{i=1}^{N} \mathrm{cost}_i", ("N",)),
        "coordination": (
            r"\mathrm{dispatching} + \mathrm{handing\ over}",
            ("dispatching", "handing_over"),
        ),
        "coordination_mean": (r"\frac{\mathrm{coordination}}{\mathrm{done}}", ("coordination", "done")),
        "dispatching": (r"\sum_{i=1}^{N} (d_i - p_i)", ("N",)),
        "handing_over": (r"\sum_{i\ \mathrm{done}} o_i", ("done",)),
    }
)
#: Those of an agent, a role or a machine, or learned; what stands in them is found by name.
_OTHERS: Mapping[str, str] = MappingProxyType(
    {
        "utilisation": r"\frac{\sum_a \mathrm{busy}(a)}{\sum_a \mathrm{available}(a)}",
        "slots": r"R(t+1) = R(t) + \eta\,\bigl(\mathrm{Allocation}(t) - R(t)\bigr),\quad "
        r"\mathrm{Allocation}(a_i, t) = \frac{w_i\,\mathrm{Load}(a_i, t)}{\sum_j w_j\,\mathrm{Load}(a_j, t)}"
        r" \cdot \mathrm{Total}(t)",
        "seconds_per_unit": r"T_c = e^{\rho},\quad \log\frac{e_i - d_i}{C(v_i)} = \rho + \varepsilon_i",
        "seconds_per_information": r"T_t = \frac{\sum_i o_i}{\sum_i I_i}",
        "spread": r"\frac{T_c}{\mathrm{spread}} \le \frac{e_i - d_i}{C(v_i)} \le T_c \cdot \mathrm{spread}",
    }
)
_SOURCES: Mapping[str, str] = MappingProxyType(
    {
        "throughput": f"{_MONITOR}; Table II",
        "latency_mean": f"{_MONITOR}; Table II",
        "utilisation": f"{_MONITOR}; Table III",
        "coordination": f"{_MONITOR}; Table III (agent coordination)",
        "context_switches": f"{_MONITOR}; Table III",
        "seconds_per_unit": "§III-A, T_c of Eq. 3",
        "spread": "§III-A, T_c of Eq. 3",
        "seconds_per_information": "§III-A, T_t of Eq. 3",
        "slots": "§III-D, Resource Allocator, Eqs. 19 and 20",
    }
)


def explain_metric(metrics: Metrics, id: str, of: str = "") -> NumberExplained:
    """Explain the figure `id` of the whole run, of its window ("recent …"), or `of` an agent or role.

    Raises `InvalidInput` where there is no such figure.
    """
    name = id.removeprefix(RECENT)
    recent, rows = name != id, metrics.to_records()
    found = [row for row in rows if (row["name"], row["of"]) == (name, of)]
    row = next((row for row in found if (row["window"] == "recent") is recent), None)
    if row is None:
        names = dict.fromkeys(row["name"] for row in rows if row["of"] == of)
        there = f"choose from {', '.join(names)}" if names else "run.metrics() names agents and roles"
        raise InvalidInput(f"There is no figure {shown(id)}{f' of {shown(of)}' if of else ''}; {there}.")
    latex, parts = ("", ()) if of else _FORMULAS.get(name, ("", ()))
    operands = _operands(metrics.recent if recent else metrics.whole, parts) or _others(metrics, row, recent)
    words = str(row["definition"])
    if name == "slots":
        words += "; set by you, or by the AWM, which rounds R"
    return NumberExplained(
        name=f"{id} of {of!r}" if of else id,
        value=row["value"],
        unit=row["unit"],
        latex=latex or _OTHERS.get(name, ""),
        operands=operands,
        source=_SOURCES.get(name, _MONITOR),
        words=words,
    )


def _operands(figures: Figures, parts: tuple[str, ...]) -> Operands:
    """What `figures` say of the `parts` of a formula."""
    known = {
        "n": figures.done + figures.failed,
        "N": figures.attempts,
        "retries": round((figures.retry_rate or 0.0) * figures.attempts),
    }
    return {part: known[part] if part in known else getattr(figures, part) for part in parts}


def _others(metrics: Metrics, row: Mapping[str, Any], recent: bool) -> Operands:
    match row["name"]:
        case "utilisation":
            agents = [one for one in metrics.agents if row["of"] in ("", one.agent)]
            if not recent:
                return {
                    "busy": sum(one.busy for one in agents),
                    "available": sum(one.available for one in agents),
                }
            taken = (one.recently_available * (one.recent_utilisation or 0.0) for one in agents)
            return {"busy": sum(taken), "available": sum(one.recently_available for one in agents)}
        case "slots":
            return {"η": ETA}
        case "spread":
            return {"T_c": next(one.seconds_per_unit for one in metrics.roles if one.role == row["of"])}
    return {}


def explain_objective(decision: Decision, aim: Adaptation) -> NumberExplained:
    """Explain f(ω*), the score of what a decision of the AWM found best."""
    event, best = decision.event, decision.chosen
    first = r"f_k = \mathrm{remaining}_k + \lambda\,\mathrm{cost}_k"
    if aim.deadline is not None:
        first = r"f_k = \lambda\,\mathrm{cost}_k + 1000\,\mathrm{late}_k + 10^{-6}\,\mathrm{remaining}_k"
    return NumberExplained(
        name=f"f of {best.name} in decision {event.number}",
        value=best.score,
        unit="s",
        latex=r"\omega^* = \arg\min_{\omega \in \Omega} f(\omega, M(t)),\quad "
        rf"f = \frac{{1}}{{n}} \sum_k f_k + {RISK:g}\,\sigma(f_k),\quad {first}",
        operands={
            "f(ω*)": best.score,
            "f(as it was)": event.candidates[0].score,
            "|Ω|": len(event.candidates),
            "n": best.seeds,
            "σ(remaining)": best.risk,
            "λ": aim.cost_weight,
        },
        source="§III-D, Eq. 18 and Alg. 4",
        words=f"what is still to come, in {best.seeds} simulated futures; {event.verdict}: {event.reason}",
    )
