"""The wide lists: faults told, joined to half of what is drawn, apart from what is held out."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from tools.teaching_llama import apart, refusals, wide
from tools.teaching_llama.domains import DOMAINS, facts_of
from tools.teaching_llama.lexicon import CONTENT, CORE, LEXICON, STEADY, WORDS, early, found, lost
from tools.teaching_llama.surfaces import LIGHT, Source, greeted, padded, roughened


def source(seed: int, held: bool = False) -> Source:
    return Source(random.Random(seed), held=held, content=CONTENT, steady=STEADY)


def test_every_section_of_every_author_is_drawn_from() -> None:
    assert set(wide.AUTHORS) == {"chatty", "learners", "office", "terse", "trade"}
    assert all(len(lists) == 85 for lists in wide.AUTHORS.values())
    for domain in DOMAINS:
        for kind in (x for x in ("HEADS", "HEADS_FOR", "HEADS_BARE") if hasattr(domain, x)):
            assert set(wide.LINES[f"{domain.NAME}.{kind}"]) <= set(getattr(domain, kind))
        for kind, clauses in domain.CLAUSES.items():
            assert set(wide.LINES[f"{domain.NAME}.{kind}"]) <= set(clauses)


def test_the_wide_lists_are_at_least_half_of_what_is_drawn() -> None:
    for domain in DOMAINS:
        values = getattr(domain, "VALUES", {})
        for lines in (domain.HEADS, domain.HEADS_BARE, *domain.CLAUSES.values(), *values.values()):
            assert sum(x in wide.NEW for x in lines) >= len(lines) / 2
    assert sum(x in wide.NEW for x in refusals.TRAIN) >= len(refusals.TRAIN) / 2


@pytest.mark.parametrize("author", wide.AUTHORS)
def test_nothing_held_out_stands_in_the_wide_lists(author: str) -> None:
    doubles = {
        section: len(apart.folded(lines) & apart.rivals(section))
        for section, lines in wide.AUTHORS[author].items()
    }
    assert not {section: n for section, n in doubles.items() if n}  # never the texts themselves


def test_doubles_are_taken_out_whatever_their_capitals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(apart.HELD, "devops.load", (" with a Flood of visitors",))
    path = tmp_path / "x.txt"
    path.write_text(
        "[devops.load]\n with a flood of visitors.\n, load it\n\n[devops.docs]\n with a flood of visitors\n"
    )
    assert apart.cleared(path) == {"devops.load": 1}
    assert path.read_text() == "[devops.load]\n, load it\n\n[devops.docs]\n with a flood of visitors\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[travel.HEADS]\nA {adj}trip", r"x\.txt, line 2, \[travel\.HEADS\].*\['adj'\]: use adj place"),
        ("[devops.load]\n with {x}", "use none"),
        ("[devops.window]\n with no downtime", "use x"),
        ("[devops.VALUES.stack]\n{month} in Go", "use n name place pseudo"),
        ("[devops.load]\nwith a load test", "a clause begins with"),
        ("[devops.window]\n for {x", "close each brace"),
        ("[devops.nothing]\n x", r"line 1: nothing draws from \[devops\.nothing\]"),
        ("Plan a trip", "begin with a section"),
    ],
)
def test_a_wrong_line_is_refused_with_its_place(text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text(text)
    with pytest.raises(ValueError, match=told):
        wide.read(tmp_path / "x.txt")


def test_the_lexicon_stays_in_bounds_and_knows_what_decides() -> None:
    assert len(LEXICON.content) < 4500
    alone = found(wide.NEW) - WORDS
    assert alone  # what one author alone says stays unknown
    for domain in DOMAINS:
        wishes = [x for kind, texts in domain.CLAUSES.items() if kind not in facts_of(domain) for x in texts]
        assert found(wishes) <= CORE
        assert early(domain.HEADS_BARE) <= CORE


def test_a_share_of_the_words_is_lost_and_none_that_decides() -> None:
    text = " ".join(sorted(LEXICON.content - STEADY)[:10]) + " plan a report"
    for seed in range(20):
        assert len(lost(random.Random(seed), 0.35, text)) == 3
        assert not lost(random.Random(seed), 0.6, text) & STEADY


def test_a_rough_template_keeps_its_fields_in_order_and_the_words_that_decide() -> None:
    template, changed = (
        "Would you swiftly and merrily please plan a {adj}trip over to sunny {place} gladly",
        0,
    )
    decide = [x for x in template.split() if x in STEADY and x not in LIGHT]
    for seed in range(400):
        text = roughened(source(seed), template, 0.0, 1.0)
        assert re.findall(r"\{\w+\}", text) == ["{adj}", "{place}"]
        assert [x for x in text.split() if x in decide] == decide
        assert "sunny {place} gladly" in text  # beside a field nothing unheard of
        changed += text != template
    assert changed > 390


def test_held_out_requests_meet_no_noise() -> None:
    for seed in range(200):
        s = source(seed, held=True)
        assert (
            roughened(s, "Please plan a nice {adj}trip to {place}", 0.05, 1.0)
            == "Please plan a nice {adj}trip to {place}"
        )
        assert padded(s, "Plan it") == "Plan it"
        assert greeted(s, "Plan it").removesuffix("Plan it") in {"", "Hi, ", "Hello! ", "Please, ", "Hey, "}
    assert any(padded(source(seed), "Plan it") != "Plan it" for seed in range(200))
