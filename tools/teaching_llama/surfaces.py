"""Names, places, money, dates, people and topic words: the surface forms that requests carry.

A `Source` draws them from a seeded generator. `held=True` draws from lists, syllables and phrasings that
training never sees. Most training names are spelled at random, so that the model must copy and cannot
recall; `blank=True` leaves names out, which is how the tokenizer's corpus is made (an unseen name is then
spelled in the same small pieces as every other name).
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dyntaskmas_nb.llm.protocol import Message
from tools.teaching_llama import held
from tools.teaching_llama import words as w
from tools.teaching_llama.marks import plain
from tools.teaching_llama.wide import RESEARCH, TRAVEL

DIGITS = "0123456789"
NUMBER_WORDS = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen".split()


def ordinal(number: int) -> str:
    """Return "1st", "2nd", "3rd", "4th"."""
    last = number % 10 if number not in (11, 12, 13) else 0
    return f"{number}{('th', 'st', 'nd', 'rd')[last] if last < 4 else 'th'}"


def phrases(text: str) -> tuple[str, ...]:
    """Split a list written with `|` or new lines between its entries; spaces belong to them."""
    return tuple(text.replace("\n", "|").split("|"))


def joined(common: Sequence[str], wide: Sequence[str]) -> tuple[str, ...]:
    """Return both lists, the common phrasings repeated so that they are about a sixth."""
    return (*(tuple(common) * max(1, len(wide) // (5 * len(common)))), *wide)


@dataclass(frozen=True, slots=True)
class Source:
    """Seeded supply of surface forms from the training split or the held-out one."""

    rng: random.Random
    held: bool = False
    blank: bool = False
    content: Sequence[str] = ()
    steady: frozenset[str] = frozenset()
    """Words that decide; with it, training drops and replaces others."""

    def pick(self, train: Sequence[str], held: Sequence[str]) -> str:
        """Choose from the list of this split."""
        return self.rng.choice(held if self.held else train)

    def chance(self, p: float) -> bool:
        return self.rng.random() < p

    def noise(self, p: float) -> bool:
        """Whether training meets something odd here; never in the held-out split."""
        return not self.held and not self.blank and self.rng.random() < p

    def common(self) -> str:
        """A word of the closed vocabulary, as it may stand in a name or a topic; else an invented one."""
        return self.rng.choice(self.content) if self.content else self.pseudo()

    def pseudo(self) -> str:
        """A word that does not exist, in lower case."""
        r = self.rng
        if not self.held and r.random() < 0.25:
            return "".join(r.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(r.randint(3, 10)))
        onset, vowel, coda = w.HELD_SYLLABLES if self.held else w.TRAIN_SYLLABLES
        parts = [
            r.choice(onset) + r.choice(vowel) + (r.choice(coda) if r.random() < 0.5 else "")
            for _ in range(r.choice((1, 2, 2, 2, 3, 3, 4)))
        ]
        text = "".join(parts)
        return text if len(text) > 2 else text + r.choice(vowel) + r.choice(onset)

    def name(self) -> str:
        """A proper name of one word, sometimes two, joined or accented."""
        if self.blank:
            return ""
        r, roll = self.rng, self.rng.random()
        if self.content and r.random() < 0.06:
            pair = [self.common().title(), self.pseudo().title()]
            return " ".join(r.sample(pair, 2))
        if roll < 0.10:
            return f"{self.pseudo().title()}{r.choice('- ')}{self.pseudo().title()}"
        if roll < 0.13:
            return f"{r.choice(('San', 'Saint', 'Port', 'New', 'El', 'La', 'St.', 'Mount'))} {self.pseudo().title()}"
        text = self.pseudo().title()
        if roll < 0.18:
            text = text.translate(
                str.maketrans(
                    {r.choice("aeioulnsczrt"): r.choice("áéíóúäöüãçñøłńęśżźčřšžěůåæðőűğışțâêîôûàèìòùāēīōū")}
                )
            )
        elif roll < 0.19:
            text = "".join(chr(r.choice((0x3B1, 0x430, 0x4E00, 0x3042)) + r.randint(0, 20)) for _ in range(3))
        return text

    def place(self) -> str:
        if self.blank:
            return ""
        if self.rng.random() < (0.7 if self.held else 0.3):
            return self.pick(w.TRAIN_PLACES, w.HELD_PLACES)
        return self.name()

    def person(self) -> str:
        if self.blank:
            return ""
        return self.pick(w.TRAIN_PEOPLE, w.HELD_PEOPLE) if self.chance(0.4) else self.name()

    def integer(self, low: int, high: int) -> str:
        return str(self.rng.randint(low, high))

    def money(self) -> str:
        r = self.rng
        value = r.choice(
            (r.randint(2, 99) * 100, r.randint(2, 20) * 500, r.randint(60, 9999), r.randint(1, 9) * 1000)
        )
        roll = r.random()
        number = f"{value:,}" if r.random() < 0.4 else str(value)
        if roll < 0.07:
            return f"{r.choice(NUMBER_WORDS[:12])} {r.choice(('hundred', 'thousand'))} {r.choice(w.UNITS)}"
        if roll < 0.17:
            short = r.choice((f"{r.randint(1, 30)}k", f"{r.randint(1, 9)}.{r.randint(1, 9)}k"))
            return r.choice((f"{short} {r.choice(w.UNITS)}", f"{r.choice('$€£')}{short}"))
        if roll < 0.50:
            return f"{number} {r.choice(w.UNITS)}"
        if roll < 0.62:
            return r.choice((f"{number} {r.choice(w.CODES)}", f"{r.choice(w.CODES)} {number}"))
        if roll < 0.68:
            return f"{number}{r.choice('€$')}"
        return f"{r.choice('$$$€€£¥')}{number}"

    def when(self) -> str:
        """A date phrase with its preposition: "in October", "from 3 to 6 May", "next week"."""
        r, month = self.rng, self.rng.choice(w.MONTHS)
        a = r.randint(1, 24)
        b = a + r.randint(1, 6)
        odd = (
            f"during {self.name()}",
            f"during the {self.common()} holidays",
            f"{r.choice(('from', 'around', 'after', 'before'))} {month} {a}",
            f"at the {self.pseudo()} of {month}",
            f"after the {self.pseudo()} {r.choice(('festival', 'holidays', 'season'))}",
        )
        template = self.pick(TRAVEL["WHEN"], held.TRAVEL["WHEN"])
        year = r.randint(2025, 2032)
        usual = template.format(month=month, a=a, b=b, ath=ordinal(a), bth=ordinal(b), year=year)
        return r.choice(odd) if self.noise(0.25) else usual

    def deadline(self) -> str:
        r = self.rng
        template = self.pick(RESEARCH["DEADLINE"], held.RESEARCH["DEADLINE"])
        return template.format(day=r.choice(w.DAYS), month=r.choice(w.MONTHS), a=r.randint(1, 28))

    def people(self) -> str:
        """Who travels, as it stands after "for"."""
        r = self.rng
        n = r.randint(2, 12)
        count = r.choice((str(n), NUMBER_WORDS[n - 1]))
        few = NUMBER_WORDS[r.randint(2, 6)]
        odd = (  # any phrase at all may stand here
            f"{few} {self.pseudo()}s",
            f"my {self.pseudo()} and me",
            f"{count} {self.mixed(w.TRAIN_AUDIENCES)}",
            f"a {self.common()} of {count}",
            f"my {self.common()} and me",
            f"{few} {self.common()} and a {self.pseudo()}",
        )
        template = self.pick(TRAVEL["PEOPLE"], held.TRAVEL["PEOPLE"])
        name = "us" if self.blank else self.person()
        if self.noise(0.25):
            return r.choice(odd)
        if self.chance(0.2):
            return count
        more = {key: getattr(self, key)() for key in ("place", "pseudo") if f"{{{key}}}" in template}
        return " ".join(template.format(n=count, name=name, **more).split())

    def mixed(self, phrases: Sequence[str]) -> str:
        """Words of different phrases put together, so that no word foretells the next; or invented ones."""
        r = self.rng
        pool = [word for phrase in r.sample(phrases, 3) for word in phrase.split()]
        pool += [self.pseudo(), self.pseudo(), self.pseudo()]
        pool += [self.common(), self.common()] if self.noise(0.5) else []
        return " ".join(r.sample(pool, r.choice((1, 2, 2, 3))))

    def likes(self) -> str:
        """One or two interests."""

        def one() -> str:
            if self.noise(0.15):
                return " ".join(self.common() for _ in range(self.rng.choice((1, 1, 2))))
            if self.noise(0.35):
                return self.mixed(w.TRAIN_LIKES)
            return (
                self.pseudo()
                if self.chance(0.12) and not self.blank
                else self.pick(w.TRAIN_LIKES, w.HELD_LIKES)
            )

        a, b = one(), one()
        return a if a == b or self.chance(0.45) else f"{a} and {b}"

    def topic(self) -> str:
        """A research topic: a noun phrase, often composed, sometimes with names or invented words."""
        r = self.rng

        def noun() -> str:
            if self.noise(0.2):  # words that mean something else elsewhere
                return " ".join(self.common() for _ in range(r.choice((1, 2, 2, 3))))
            if self.noise(0.4):
                return self.mixed(w.TRAIN_TOPICS)
            if not self.blank and r.random() < 0.22:
                return f"{self.pseudo()} {self.pseudo()}" if r.random() < 0.4 else self.pseudo()
            return self.pick(w.TRAIN_TOPICS, w.HELD_TOPICS)

        a, b, place = noun(), noun(), self.place()
        adj = self.pick(w.TRAIN_ADJECTIVES, w.HELD_ADJECTIVES)
        roll = r.random()
        template = self.pick(RESEARCH["TOPIC"], held.RESEARCH["TOPIC"])
        if roll < 0.34:
            return a
        if roll < 0.50:
            return f"{adj} {a}"
        if roll < 0.68:
            return f"{a} in {place}"
        if self.noise(0.15):
            return r.choice((f"{a} since {r.randint(1900, 2024)}", f"the {place} {r.choice(w.EVENTS)}"))
        return template.format(a=a, b=b, place=place).strip()

    def audience(self) -> str:
        """Who reads a report, as it stands after "for"."""
        if self.chance(0.12) and not self.blank:
            return self.person()
        if self.chance(0.3) and not self.blank and not self.held:
            return self.rng.choice(("the ", "our ", "", "")) + self.mixed(w.TRAIN_AUDIENCES)
        return self.pick(w.TRAIN_AUDIENCES, w.HELD_AUDIENCES)

    def length(self) -> str:
        """A report's length, as it stands after "of"."""
        r = self.rng
        n = r.randint(2, 40)
        few = NUMBER_WORDS[r.randint(1, 13)]
        return r.choice(
            (
                f"{n} pages",
                f"{n} pages",
                f"{few} pages",
                f"{n * 100} words",
                f"{n * 100:,} words",
                f"{few} thousand words",
            )
        )


@dataclass(slots=True)
class Example:
    """One training or test case: the prompt's pieces, the answer, and what must be copied into it.

    `target` is the answer with marks around its facts.
    """

    kind: str
    messages: Sequence[Message]
    target: str
    entities: list[str] = field(default_factory=list)

    @property
    def answer(self) -> str:
        return plain(self.target)


QUESTION = re.compile(r"(how|what|can|could|would|where|which|do|does|any|is|are)\b", re.IGNORECASE)


def ended(s: Source, text: str) -> str:
    """Return a request with the full stop, question or exclamation mark that people put, or none."""
    ends = ("", "", "", ".", ".", "!" if s.chance(0.25) else "")
    asks = QUESTION.match(text) and "?" not in text and "." not in text
    return text + s.rng.choice((*ends, "?", "?", "?", "?") if asks else ends)


GREETINGS = ("Hi, ", "Hello! ", "Please, ", "Hey, ")
OPENERS = phrases(
    """Listen: |Now: |Right, |Good morning, |Dear all, |Quick one: |New task: |{name}, |Hello {name}, |Dear {name}, |As discussed: |Team, |My boss says: |{name} says: |{name} asks: |Here is the thing: |Good evening. |As I said: |{name} here. |{pseudo}: |{pseudo}, {pseudo}! |So, |Well, |Ok, """
)
FILLERS = phrases(""" please|, please|, by the way|, if you can|, if possible|, if that works|, as I said|, you see|, well|, I hope|, right
, as {name} would say|, {pseudo}ly speaking|, so to speak|, in {pseudo} words""")
CLOSERS = phrases(""". Thanks|. Thanks in advance|, thank you|. That would be great|. Regards, {name}|, thanks!|. Thank you, {name}|. {pseudo}!|. Cheers
. Best, {name}""")


def greeted(s: Source, text: str) -> str:
    """Return a request with what people say before they ask, now and then, and in training after it, too."""
    if s.chance(0.08):
        return s.rng.choice(GREETINGS) + text
    if s.noise(0.08):
        text = s.rng.choice(OPENERS).format(name=s.person(), pseudo=s.pseudo()) + text
    if s.noise(0.05):
        text = text.rstrip(".!?") + s.rng.choice(CLOSERS).format(name=s.person(), pseudo=s.pseudo())
    return text


def padded(s: Source, text: str) -> str:
    """Return the beginning of a request with a few words after it that ask for nothing: in training, rarely."""
    if text.endswith("?") or not s.noise(0.05):
        return text
    return text + s.rng.choice(FILLERS).format(name=s.person(), pseudo=s.pseudo())


LIGHT = frozenset("a an the please me us my our your just so also kindly really very".split())
"""Words that a template may lose though every request has them."""


def roughened(s: Source, template: str, swapped: float = 0.05, odd: float = 0.15) -> str:
    """Return `template`, in training with swapped letters at times, and with words lost or unheard of.

    One to three words change, no field and none that decides. Beside a field only articles and the like go, and
    no unheard word comes: nothing would tell it from the fact.
    """
    r = s.rng
    template = smudge(r, template, 0.0 if s.held else swapped) if swapped else template
    if not s.steady or not s.noise(odd):
        return template
    tokens = template.split(" ")
    beside = ["{" in "".join(tokens[max(0, i - 1) : i + 2]) for i in range(len(tokens))]
    at = [
        i
        for i, word in enumerate(tokens)
        if word.isalpha() and (word.casefold() in LIGHT or not (beside[i] or word.casefold() in s.steady))
    ]
    for i in sorted(r.sample(at, min(len(at), r.choice((1, 1, 2, 3)))), reverse=True):
        lost = beside[i] or r.random() < 0.35
        tokens[i : i + 1] = [] if lost else [s.pseudo() for _ in range(r.choice((1, 1, 2)))]
    return " ".join(tokens)


def with_clauses(
    s: Source, t: object, text: str, clauses: Mapping[str, Sequence[str]], kinds: Sequence[str], lower: bool
) -> str:
    """Add the facts of these `kinds` and the wishes of `t` to a sentence, in some order."""
    facts = [kind for kind in kinds if getattr(t, kind)]
    if s.chance(0.45):
        s.rng.shuffle(facts)
    wishes = sorted(t.flags)
    s.rng.shuffle(wishes)
    for kind in facts + wishes:
        clause = s.rng.choice(clauses[kind])
        if kind in kinds:
            clause = roughened(s, clause, 0.0, 0.1)
        text = padded(s, text)
        if text.endswith("?"):
            clause = clause.lstrip(".,")
        x = getattr(t, kind) if kind in kinds else ""
        if clause.startswith(". {x}") and not lower:
            x = x[0].upper() + x[1:]
            setattr(t, kind, x)
        text += clause.format(x=x)
    return text.strip()


def articled(template: str) -> str:
    """Return `template` with "an" for "a" before a vowel."""
    return re.sub(r"\b([Aa]) (?=(?!one|uni|use|eu)[aeiou8]|11|18)", r"\1n ", template)


def smudge(rng: random.Random, template: str, p: float) -> str:
    """Swap two neighbouring letters in one long word of `template` (never inside a placeholder)."""
    if rng.random() >= p:
        return template
    tokens = template.split(" ")
    at = [i for i, t in enumerate(tokens) if len(t) > 4 and t.isalpha()]
    if at:
        i, t = rng.choice(at), ""
        t = tokens[i]
        j = rng.randrange(1, len(t) - 2)
        tokens[i] = t[:j] + t[j + 1] + t[j] + t[j + 2 :]
    return " ".join(tokens)
