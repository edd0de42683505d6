"""Placeholders for words the teaching model does not know (delexicalisation).

The model has a closed vocabulary, `lexicon.txt` beside its weights. Every other word of a request (a name,
a number, a topic) stands in its tokens as one of `SLOTS` placeholders, the same word always as the same
one, and comes out of the answer as it was written. So the model copies an unseen name as one token.

Placeholders are the vocabulary's last tokens, two a slot: the word alone, and after a space. No merge makes
them, so no text can hold one; their textual form (`⟦w7⟧`) is what a JSON grammar sees, string content.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path

from dyntaskmas_nb.errors import BadWeights

SLOTS = 64
WORD = re.compile(r" ?[^\W_]+(?:['’][^\W_]+|(?<=\d)[.,:](?=\d)[^\W_]+)*")
"""A word or a number with inner separators (1,500 or 2.5), with the space before it."""

FILE = "lexicon.txt"
FORMS = tuple(f"{space}⟦w{slot}⟧" for slot in range(SLOTS) for space in ("", " "))
"""How the placeholder tokens read, in the order of their ids."""


def read_lexicon(folder: Path) -> frozenset[str] | None:
    """Return the words of `lexicon.txt`, case-folded, or None where a checkpoint has none."""
    try:
        return frozenset((folder / FILE).read_text(encoding="utf-8").split())
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise BadWeights(f"{folder / FILE} cannot be read: {error}. Fetch the checkpoint again.") from error


class Names:
    """The unknown words of one request and their placeholders, in order of appearance.

    Parameters
    ----------
    lexicon : collection of str
        The known words, case-folded.
    start : int
        Slot of the first word; training begins anywhere, so that every slot is learnt.
    """

    def __init__(self, lexicon: Collection[str], start: int = 0) -> None:
        self._lexicon = lexicon
        self._start = start
        self._words: dict[str, int] = {}

    def split(self, text: str) -> Iterator[str | int]:
        """Yield `text` in pieces: plain text to spell, and indices into `FORMS`.

        A word beyond `SLOTS` is a plain piece of its own, so a placeholder's textual form stays in pieces.
        """
        done = 0
        for match in WORD.finditer(text):
            written = match[0]
            word = written.lstrip(" ")
            if word.casefold() in self._lexicon:
                continue
            if match.start() > done:
                yield text[done : match.start()]
            done = match.end()
            if word not in self._words and len(self._words) == SLOTS:
                yield written
                continue
            slot = self._words.setdefault(word, len(self._words))
            yield 2 * ((self._start + slot) % SLOTS) + (written != word)
        if done < len(text):
            yield text[done:]

    def text(self, form: int) -> str:
        """Return what the placeholder `FORMS[form]` stands for; nothing where it was never given."""
        slot, space = divmod(form, 2)
        index = (slot - self._start) % SLOTS
        if index >= len(self._words):
            return ""
        return " " * space + list(self._words)[index]
