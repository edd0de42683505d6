"""One function that writes an SVG element, so that every attribute is escaped where it is written."""

from __future__ import annotations

from html import escape

from dyntaskmas_nb.view.words import markup


def tag(name: str, *children: str, **attributes: object) -> str:
    """An element with `children` (already markup) and attributes, underscores in their names read as hyphens.

    Attributes that are None are left out, numbers are written short.

    >>> tag("rect", x=1.50, stroke_width=2, fill=None), tag("text", text("a < b"))
    ('<rect x="1.5" stroke-width="2"/>', '<text>a &lt; b</text>')
    """
    written = "".join(
        f' {key.replace("_", "-")}="{_value(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{name}{written}>{''.join(children)}</{name}>" if children else f"<{name}{written}/>"


def text(value: object, limit: int = 200) -> str:
    """Foreign text as a child: printable, escaped, cut."""
    return markup(value, limit)


def title(value: object, limit: int = 900) -> str:
    """A hover text."""
    return tag("title", markup(value, limit))


def _value(value: object) -> str:
    return f"{value:.7g}" if isinstance(value, float) else escape(str(value), quote=True)


def picture(*children: str, label: str, width: object, height: object, view: str | None = None) -> str:
    """The outermost element: an image with a name, in the colour and font of the page around it."""
    return tag(
        "svg",
        *children,
        xmlns="http://www.w3.org/2000/svg",
        role="img",
        aria_label=label,
        width=width,
        height=height,
        viewBox=view,
        font_family="system-ui, sans-serif",
        font_size=12,
        fill="currentColor",
    )
