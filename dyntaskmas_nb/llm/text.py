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
        begun = (stop[:size] for stop in self._stops for size in range(1, len(stop)))
        held = max((len(begin) for begin in begun if text.endswith(begin)), default=0)
        self._held = text[len(text) - held :]
        return text[: len(text) - held]

    def flush(self) -> str:
        """Return what was held back: the text ended, so it is no stop string after all."""
        held, self._held = self._held, ""
        return held


def estimate_tokens(text: str) -> int:
    """Tokens of `text` where no tokenizer is at hand: one for four characters, as in English."""
    return -(-len(text) // 4)
