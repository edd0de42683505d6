"""Names, places, money, dates, people and topic words: the surface forms that requests carry.

A `Source` draws them from a seeded generator. `held=True` draws from lists, syllables and phrasings that
training never sees. Most training names are spelled at random, so that the model must copy and cannot
recall; `blank=True` leaves names out, which is how the tokenizer's corpus is made (an unseen name is then
spelled in the same small pieces as every other name).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from dyntaskmas_nb.llm.protocol import Message
from tools.teaching_llama import words as w

DIGITS = "0123456789"
NUMBER_WORDS = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen".split()


def phrases(text: str) -> tuple[str, ...]:
    """Split a list written with `|` or new lines between its entries; spaces belong to them."""
    return tuple(text.replace("\n", "|").split("|"))


@dataclass(frozen=True, slots=True)
class Source:
    """Seeded supply of surface forms from the training split or the held-out one."""

    rng: random.Random
    held: bool = False
    blank: bool = False
    content: Sequence[str] = ()

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
        th = ("st", "nd", "rd")[a - 1] if a < 4 else "th"
        forms = [
            f"in {month}",
            f"in {month}",
            f"from {a} to {b} {month}",
            f"from {month} {a} to {month} {b}",
            f"on {a} {month}",
            f"next {r.choice(('week', 'month', 'spring', 'summer', 'year', 'weekend'))}",
            f"in early {month}",
            f"in late {month}",
            f"this {r.choice(('summer', 'autumn', 'winter', 'spring', month))}",
            f"between {a} and {b} {month}",
            f"in {month} {r.randint(2025, 2032)}",
            f"over {r.choice(('Christmas', 'Easter', 'New Year', 'the holidays'))}",
        ]
        if not self.blank:
            forms += [
                f"during {self.name()}",
                f"during the {self.common()} holidays",
                f"{r.choice(('from', 'around', 'after', 'before'))} {month} {a}",
                f"at the {self.pseudo()} of {month}",
                f"after the {self.pseudo()} {r.choice(('festival', 'holidays', 'season'))}",
            ]
        if self.held:
            forms = [
                f"in mid-{month}",
                f"in {month}",
                f"from the {a}{th} to the {b}th of {month}",
                f"{a}-{b} {month}",
                f"around {month} {a}",
                "during the school holidays",
                f"at the end of {month}",
                f"from {a} to {b} {month}",
            ]
        return r.choice(forms)

    def deadline(self) -> str:
        r, month = self.rng, self.rng.choice(w.MONTHS)
        a = r.randint(1, 28)
        train = [
            f"by {r.choice(w.DAYS)}",
            f"by {a} {month}",
            f"by {month} {a}",
            "by next week",
            "by tomorrow",
            "by the end of the month",
            f"by the end of {month}",
            f"before {a} {month}",
            "by tonight",
        ]
        held = [
            f"no later than {r.choice(w.DAYS)}",
            f"until {a} {month}",
            f"by the {a}th",
            f"by {r.choice(w.DAYS)} noon",
        ]
        return r.choice(held if self.held else train)

    def people(self) -> str:
        """Who travels, as it stands after "for"."""
        r = self.rng
        n = r.randint(2, 12)
        count = r.choice((str(n), NUMBER_WORDS[n - 1]))
        few = NUMBER_WORDS[r.randint(2, 6)]
        train = [
            count,
            count,
            "two",
            "2",
            f"{count} people",
            f"{count} people",
            f"{count} friends",
            f"{count} adults",
            f"a family of {count}",
            f"a family of {few}",
            "my wife and me",
            "my husband and me",
            "a couple",
            f"{few} adults and {NUMBER_WORDS[r.randint(1, 4)]} kids",
            f"a group of {r.randint(5, 40)}",
            "my parents",
            f"my {r.choice(('son', 'daughter', 'sister', 'mother'))} and me",
            "one person",
            "me",
            f"{self.person()} and {self.person()}" if not self.blank else "us",
            f"{few} colleagues",
        ]
        if not self.blank and not self.held:  # any phrase at all may stand here
            train += [
                f"{few} {self.pseudo()}s",
                f"my {self.pseudo()} and me",
                f"{count} {self.mixed(w.TRAIN_AUDIENCES)}",
                f"a {self.common()} of {count}",
                f"my {self.common()} and me",
                f"{few} {self.common()} and a {self.pseudo()}",
            ]
        held = [
            f"{count} students",
            f"a party of {count}",
            f"{count} grown-ups",
            "my girlfriend and me",
            f"{few} adults and a baby",
            f"a team of {r.randint(5, 40)}",
            f"{self.person()} and me",
            "two",
            count,
        ]
        return r.choice(held if self.held else train)

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
            if not self.blank and not self.held and self.chance(0.35):
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
            if not self.blank and not self.held and r.random() < 0.4:
                return self.mixed(w.TRAIN_TOPICS)
            if not self.blank and r.random() < 0.22:
                return f"{self.pseudo()} {self.pseudo()}" if r.random() < 0.4 else self.pseudo()
            return self.pick(w.TRAIN_TOPICS, w.HELD_TOPICS)

        a, b, place = noun(), noun(), self.place()
        adj = self.pick(w.TRAIN_ADJECTIVES, w.HELD_ADJECTIVES)
        roll = r.random()
        train = (
            f"the impact of {a} on {b}",
            f"how {a} affects {b}",
            f"the history of {a}",
            f"{a} and {b}",
            f"the effects of {a} on {b}",
            f"the future of {a}",
            f"{a} for {b}",
            f"the use of {a} in {b}",
            f"{a} since {r.randint(1900, 2024)}",
            f"the {place} {r.choice(w.EVENTS)}",
            f"{place} {a}",
            f"the role of {a} in {b}",
        )
        held = (
            f"the influence of {a} on {b}",
            f"why {a} matters for {b}",
            f"the economics of {a}",
            f"{a} versus {b}",
            f"the state of {a} in {place}",
        )
        if roll < 0.34:
            return a
        if roll < 0.50:
            return f"{adj} {a}"
        if roll < 0.68:
            return f"{a} in {place}"
        return r.choice(held if self.held else train)

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
    """One training or test case: the prompt's pieces, the answer, and what must be copied into it."""

    kind: str
    messages: Sequence[Message]
    answer: str
    entities: list[str] = field(default_factory=list)


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
