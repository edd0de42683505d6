"""What a face may ask of a run, and the plain data it gets: bounded, and fit for JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from html import escape
from types import MappingProxyType
from typing import Any

from dyntaskmas_nb.core.snapshot import Snapshot
from dyntaskmas_nb.ui.ghosts import plain
from dyntaskmas_nb.ui.scene import Scene
from dyntaskmas_nb.view.numbers import key_numbers, measured
from dyntaskmas_nb.view.words import paragraph

#: Rows of the event table, and characters of a call, at most.
EVENTS, CODE = 300, 100_000


def _explained(run: Any, _: Any, id: str) -> dict[str, Any]:
    return asdict(run.explain(id))


def _number(run: Any, _: Any, kind: str, id: str = "", to: str = "") -> dict[str, Any]:
    found = run.explain_number(kind, id, to)
    return asdict(found) | {"html": f"\\({escape(found.latex)}\\)" if found.latex else ""}


def _manifest(run: Any, _: Any, id: str) -> dict[str, Any]:
    return asdict(run.manifest(id))


def _history(run: Any, _: Any) -> dict[str, Any]:
    rows = run.history().records
    return {"rows": rows[-EVENTS:], "total": len(rows)}


def _at(run: Any, _: Any, version: int) -> dict[str, Any]:
    then = run.at(version)
    news = Scene(run._panel.places() if run._panel else {}).whole(then)
    return news | {"kind": "news", "seq": 0, "full": True, "figures": figures_at(then)}


def figures_at(then: Snapshot) -> list[dict[str, Any]]:
    """The key numbers of a moment, as `pulse` has figures."""
    m = measured(then)
    values = m.makespan, m.serial, m.speedup, m.critical_path, m.lower_bound, m.utilisation
    units = "s", "s", "×", "s", "s", "share"
    return [
        {"scope": "run", "at": "", "name": name, "value": plain(value), "unit": unit}
        | {"shown": shown, "meaning": meaning}
        for (name, shown, meaning), value, unit in zip(key_numbers(m), values, units, strict=True)
    ]


def _python(run: Any, _: Any) -> str:
    return paragraph(run.to_python(), CODE)


#: What answers with data, by name: all of `commands.ASKED` and `commands.ORDERS`, given run and drafts.
QUESTIONS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "explain": _explained,
        "explain_number": _number,
        "manifest": _manifest,
        "traceback": lambda run, _, id: paragraph(run.traceback(id)),
        "history": _history,
        "at": _at,
        "fork": lambda run, _, version=None: run.fork(version),
        "trace": lambda run, _: run.trace(),
        "to_python": _python,
        "preview_drafts": lambda _, drafts: drafts.preview(),
        "commit_drafts": lambda _, drafts: drafts.commit(),
        "drop_drafts": lambda _, drafts: drafts.drop(),
        "context_tree": lambda run, _, access=None: run.context_tree(access=access).to_dict(),
        "context_node": lambda run, _, id, access=None: run.context_node(id, access=access).to_dict(),
        "context_query": lambda run, _, text, **given: run.context_query(text, **given).to_dict(),
        "context_for": lambda run, _, agent, text: run.context_for(agent, text).to_dict(),
    }
)
