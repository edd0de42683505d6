"""What stays of a panel whose run is gone: its last picture, which says so. Only that of the last few."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from dyntaskmas_nb.ui.commands import id_of
from dyntaskmas_nb.ui.live import Live

if TYPE_CHECKING:
    from dyntaskmas_nb.ui.forms import Face

FORGOTTEN = "The run was forgotten by the kernel (no variable holds it)."
#: Pictures that stay.
KEPT = 3
_left: deque[tuple[Any, ...]] = deque()  # as global as the widgets are: a notebook shows them all


def leave(face: Face) -> None:
    """Close all widgets of `face` but its picture, which refuses whatever it hears."""
    from dyntaskmas_nb.ui.forms import every

    root, live = face.root, face.live
    others = [widget for child in root.children if child is not live for widget in every(child)]
    root.children = (live,)
    live._hear = lambda said: _refuse(live, said)
    face._look.close()
    _left.append((*every(root), *every(face.math)))
    for widget in (*others, *(_left.popleft() if len(_left) > KEPT else ())):
        widget.close()


def _refuse(live: Live, said: Any) -> None:
    failure = {"where": "the kernel", "task": "", "message": FORGOTTEN, "details": ""}
    live.send({"kind": "failure", **failure})
    live.send({"kind": "answer", "id": id_of(said), "ok": False, "reason": FORGOTTEN})
