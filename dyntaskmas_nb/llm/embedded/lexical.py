"""Placeholders for the words of a prompt, so that the teaching model copies instead of spelling.

Every content word of a conversation (a name, a number, a topic, but also "party" or "report") stands in
its tokens as one of `SLOTS` placeholders, the same word always as the same one. A word that the model
knows, one of `lexicon.txt` beside its weights, is followed by its meaning: the word itself in lower case.
Glue ("of", "the") stays as it is. A placeholder in the answer comes out as the word was written, so that
one token copies any word.

Placeholders are the vocabulary's last tokens, two a slot: the word alone, and after a space. No merge makes
them, so no text can hold one; their textual form (`⟦w7⟧`) is what a JSON grammar sees, string content.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from dyntaskmas_nb.errors import BadWeights

SLOTS = 128
WORD = re.compile(r" ?[^\W_]+(?:['’][^\W_]+|(?<=\d)[.,:](?=\d)[^\W_]+)*")
"""A word or a number with inner separators (1,500 or 2.5), with the space before it."""

FILE = "lexicon.txt"
FORMS = tuple(f"{space}⟦w{slot}⟧" for slot in range(SLOTS) for space in ("", " "))
"""How the placeholder tokens read, in the order of their ids."""


class Lexicon(NamedTuple):
    """The words a model knows, case-folded: `glue` stays plain, `content` gets a placeholder."""

    glue: frozenset[str]
    content: frozenset[str]


def read_lexicon(folder: Path) -> Lexicon | None:
    """Return `lexicon.txt` (glue, an empty line, content words), or None where a checkpoint has none."""
    try:
        glue, _, content = (folder / FILE).read_text(encoding="utf-8").partition("\n\n")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise BadWeights(f"{folder / FILE} cannot be read: {error}. Fetch the checkpoint again.") from error
    return Lexicon(frozenset(glue.split()), frozenset(content.split()))


class Names:
    """The content words of one conversation and their placeholders, in order of appearance.

    `slots` are given, from slot `start` on; training begins anywhere, so that every slot is learnt.
    """

    def __init__(self, lexicon: Lexicon, start: int = 0, slots: int = SLOTS) -> None:
        self._lexicon = lexicon
        self._start = start
        self._slots = slots
        self._words: dict[str, int] = {}

    def split(self, text: str, meanings: bool = True) -> Iterator[str | int]:
        """Yield `text` in pieces: plain text to spell, and indices into `FORMS`, their meanings after them.

        When the slots have run out, a known word stays in its plain text; an unknown one is a piece of its
        own, so a placeholder's textual form stays in pieces.
        """
        done = 0
        for match in WORD.finditer(text):
            written = match[0]
            word = written.lstrip(" ")
            folded = word.casefold()
            if folded in self._lexicon.glue:
                continue
            known = folded in self._lexicon.content
            if word not in self._words and len(self._words) < self._slots:
                self._words[word] = len(self._words)
            form = self.form(written)
            if form is None and known:
                continue
            if match.start() > done:
                yield text[done : match.start()]
            done = match.end()
            yield written if form is None else form
            if known and meanings:
                yield f" {folded}"
        if done < len(text):
            yield text[done:]

    def form(self, written: str) -> int | None:
        """Return the placeholder of a word, with or without a space before it; None where it has none."""
        word = written.lstrip(" ")
        if word not in self._words:
            return None
        return 2 * ((self._start + self._words[word]) % SLOTS) + (written != word)

    def text(self, form: int) -> str:
        """Return what the placeholder `FORMS[form]` stands for; nothing where it was never given."""
        slot, space = divmod(form, 2)
        index = (slot - self._start) % SLOTS
        if index >= len(self._words):
            return ""
        return " " * space + list(self._words)[index]
