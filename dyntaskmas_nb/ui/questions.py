"""What a face may ask of a run, and the plain data it gets: bounded, fit for JSON, changing nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from html import escape
from types import MappingProxyType
from typing import Any

from dyntaskmas_nb.errors import InvalidInput
from dyntaskmas_nb.ui.scene import Scene
from dyntaskmas_nb.view.words import paragraph

#: Rows of the event table, and characters of a call, at most.
EVENTS, CODE = 2_000, 100_000
#: Every question with its arguments and their types, as `inbox.CALLS` has them.
ASKED: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "explain": {"id": "id"},
        "explain_number": {"kind": "text", "id": "text", "to": "text"},
        "manifest": {"id": "id"},
        "traceback": {"id": "id"},
        "history": {},
        "at": {"version": "count"},
        "fork": {"version": "count"},
        "trace": {},
        "to_python": {},
        "preview_drafts": {},
        "commit_drafts": {},
        "drop_drafts": {},
        "context_tree": {"access": "number or null"},
        "context_node": {"id": "text", "access": "number or null"},
        "context_query": {"text": "text", "k": "count"}
        | dict.fromkeys(("access", "theta"), "number or null"),
    }
)


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
    places = run._panel.places() if run._panel else {}
    return Scene(places).whole(run.at(version)) | {"kind": "news", "seq": 0, "full": True}


def _python(run: Any, _: Any) -> str:
    return paragraph(run.to_python(), CODE)


def _commit(run: Any, drafts: Any) -> dict[str, Any]:
    batch = drafts.batch
    if batch is None:
        raise InvalidInput("No edit has been collected yet.")
    receipt = batch.commit()
    drafts.close()
    if not receipt:
        raise InvalidInput(f"{receipt.reason} The collected edits were dropped; nothing was changed.")
    return {"what": receipt.what, "version": receipt.version, "call": batch.to_python()}


def _try(run: Any, drafts: Any) -> Any:
    if drafts.batch is None:
        raise InvalidInput("No edit has been collected yet.")
    return drafts.batch.preview()


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
        "preview_drafts": _try,
        "commit_drafts": _commit,
        "drop_drafts": lambda run, drafts: drafts.close(),
        "context_tree": lambda run, _, access=None: run.context_tree(access=access).to_dict(),
        "context_node": lambda run, _, id, access=None: run.context_node(id, access=access).to_dict(),
        "context_query": lambda run, _, text, **given: run.context_query(text, **given).to_dict(),
    }
)
