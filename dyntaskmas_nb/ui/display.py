"""A run as a notebook gets it: live where a kernel is there to move it, and as a picture everywhere."""

from __future__ import annotations

import logging
import sys
from typing import Any

from dyntaskmas_nb.errors import DynTaskError
from dyntaskmas_nb.ui.bridge import RunHandle
from dyntaskmas_nb.ui.panel import Panel
from dyntaskmas_nb.view.html import foreign

log = logging.getLogger(__name__)


def mimebundle(run: RunHandle) -> dict[str, Any]:
    """A run for a notebook: the panel where a kernel is there to move it, always also HTML and text.

    Whoever cannot show widgets (GitHub, nbconvert, a mail) shows the HTML.
    """
    bundle: dict[str, Any] = {"text/plain": repr(run), "text/html": run._repr_html_()}
    ipython = sys.modules.get("IPython")
    if ipython is None or getattr(ipython.get_ipython(), "kernel", None) is None:
        return bundle
    try:
        if run._panel is None or run._panel.closed:
            run._panel = Panel(run)
        view: dict[str, Any] = run._panel.widget._repr_mimebundle_()
        return view | bundle
    except Exception as error:
        if not isinstance(error, DynTaskError):
            log.exception("no live panel")
        named = foreign(f"{type(error).__name__}: {error}", 600)
        return bundle | {"text/html": f"{bundle['text/html']}<p>No live panel: {named}</p>"}
