"""Text on its way out: stop strings that span chunks, and an estimate of token counts. Pure."""

from __future__ import annotations

from collections.abc import Sequence


class StopFilter:
    """Passes text on, but never a stop string nor anything after one.

    What might be the beginning of a stop string is held back until the next text decides.

    Examples
    --------
    >>> stops = StopFilter(["END"])
    >>> stops.push("one E"), stops.push("ND two"), stops.stopped
    ('one ', '', True)
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stops)
        self._held = ""
        self.stopped = False

    def push(self, text: str) -> str:
        """Take `text` and return what is safe to emit."""
        if self.stopped:
            return ""
        text = self._held + text
        found = [at for stop in self._stops if (at := text.find(stop)) >= 0]
        if found:
            self.stopped, self._held = True, ""
            return text[: min(found)]
        keep = max((_overlap(text, stop) for stop in self._stops), default=0)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def flush(self) -> str:
        """Return what was held back: the text ended, so it is no stop string after all."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that begins `stop`."""
    longest = min(len(text), len(stop) - 1)
    return next((size for size in range(longest, 0, -1) if text.endswith(stop[:size])), 0)


def estimate_tokens(text: str) -> int:
    """Tokens of `text` where no tokenizer is at hand: one for four characters of English.

    Examples
    --------
    >>> estimate_tokens("a plan"), estimate_tokens("")
    (2, 0)
    """
    return -(-len(text) // 4)
