"""The rules: concepts, entities and relations of a text, where they stand, and hostile texts."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyntaskmas_nb.errors import InvalidInput
from dyntaskmas_nb.sacms.analyser import (
    MAX_CONCEPTS,
    MAX_ENTITIES,
    MAX_RELATIONS,
    Analysis,
    RuleAnalyser,
    SemanticAnalyser,
    analyse_text,
    build_automaton,
)
from dyntaskmas_nb.sacms.folding import normal
from dyntaskmas_nb.sacms.node import MAX_NAME, MAX_TAGS, MAX_TEXT
from dyntaskmas_nb.sacms.ontology import BUILTIN, Ontology, builtin_ontology, read_ontology

ALL = build_automaton(builtin_ontology(domain) for domain in BUILTIN)


def only(*concepts: dict[str, object], domain: str = "mine") -> Ontology:
    return read_ontology({"domain": domain, "concepts": list(concepts)})


def entities(found: Analysis) -> list[tuple[str, str]]:
    return [(entity.text, entity.type) for entity in found.entities]


def links(found: Analysis) -> list[tuple[str, str, str]]:
    return [(one.subject, one.relation, one.object) for one in found.relations if one.relation != "broader"]


@pytest.mark.parametrize(
    ("text", "tags", "named", "linked"),
    [
        (
            "Plan a 3-day trip to Kyoto with a budget of $1,500",
            {"trip", "kyoto", "city", "place", "budget", "cost", "plan"},
            [
                ("3-day", "duration"),
                ("trip", "event"),
                ("Kyoto", "place"),
                ("budget", "money"),
                ("$1,500", "money"),
            ],
            [("trip", "to", "Kyoto"), ("trip", "with", "budget"), ("budget", "of", "$1,500")],
        ),
        (
            "INC-7: rolled back v2.3.1 of the checkout service. Database crashed at 2026-05-03 14:20",
            {"rollback", "payment service", "service", "system", "crash", "fault", "database"},
            [
                ("INC-7", "id"),
                ("rolled back", "action"),
                ("v2.3.1", "version"),
                ("checkout service", "system"),
                ("Database", "system"),
                ("crashed", "fault"),
                ("2026-05-03 14:20", "date"),
            ],
            [("v2.3.1", "of", "checkout service"), ("crashed", "at", "2026-05-03 14:20")],
        ),
        (
            "Flag unusual amounts in invoices by 3 May; mail ap@acme.example",
            {"exception", "invoice", "financial document", "document"},
            [
                ("Flag", "exception"),
                ("unusual amounts", "exception"),
                ("invoices", "document"),
                ("3 May", "date"),
                ("ap@acme.example", "email"),
            ],
            [("unusual amounts", "in", "invoices"), ("unusual amounts", "by", "3 May")],
        ),
        (
            "The robot lifts the pallet up at a loading dock. At the charging station it waits.",
            {"robot", "pallet", "object", "loading dock", "charging station", "place"},
            [
                ("robot", "robot"),
                ("pallet", "object"),
                ("loading dock", "place"),
                ("charging station", "place"),
            ],
            [],  # "up" stands between, and the sentence ends
        ),
        (
            "A literature review on Large  language models, 20 pages",  # two blanks: a known limit
            {"literature review", "research", "page"},
            [("literature review", "document"), ("language models", "method"), ("pages", "part")],
            [],
        ),
    ],
    ids="travel devops documents robotics research".split(),
)
def test_what_is_found(
    text: str, tags: set[str], named: list[tuple[str, str]], linked: list[tuple[str, str, str]]
) -> None:
    found = analyse_text(text, ALL)
    assert tags <= set(found.tags)
    assert entities(found) == named
    assert links(found) == linked
    assert (found.by, found.notes, found.tokens) == ("rules", (), 0)


def test_broader_concepts_become_tags_and_relations() -> None:
    found = analyse_text("ryokan", ALL)
    assert found.tags == ("ryokan", "hotel", "accommodation")
    assert [(one.subject, one.object) for one in found.relations] == [
        ("ryokan", "hotel"),
        ("hotel", "accommodation"),
    ]


def test_the_longest_term_counts_and_the_commonest_concept_comes_first() -> None:
    found = analyse_text(
        "A train to the train station, that train station", build_automaton([builtin_ontology("travel")])
    )
    assert found.tags[:2] == ("train station", "train")
    assert [entity.tag for entity in found.entities] == ["train", "train station", "train station"]


def test_plurals_are_found_unless_they_mean_something() -> None:
    automaton = build_automaton(
        [only({"name": "city", "type": "x"}, {"name": "box"}, {"name": "new"}, {"name": "news", "type": "y"})]
    )
    found = analyse_text("cities boxes news", automaton)
    assert found.tags[:3] == ("city", "box", "news")
    assert entities(found) == [("cities", "x"), ("news", "y")]


def test_a_term_of_two_domains_means_both() -> None:
    one = only({"name": "charge", "synonyms": ["bill"], "type": "money"}, domain="one")
    two = only({"name": "invoice", "synonyms": ["bill"], "type": "document"}, domain="two")
    found = analyse_text("the bill", build_automaton([one, two]))
    assert found.tags == ("charge", "invoice", "bill")
    assert entities(found) == [("bill", "money")]
    assert analyse_text("the bill", build_automaton([two, one])).entities[0].tag == "invoice"


def test_domains_that_contradict_each_other_end() -> None:
    one = only({"name": "a"}, {"name": "b", "broader": ["a"]})
    two = only({"name": "b"}, {"name": "a", "broader": ["b"]})
    assert analyse_text("a", build_automaton([one, two])).tags[:2] == ("a", "b")


def test_a_form_that_holds_a_term_is_no_mention_of_it() -> None:
    found = analyse_text("https://hotel.example/kyoto and mail hotel@kyoto.example", ALL)
    assert entities(found) == [("https://hotel.example/kyoto", "url"), ("hotel@kyoto.example", "email")]
    assert not {"hotel", "kyoto", "city"} & {one.subject for one in found.relations}


async def test_the_default_knows_all_domains_and_keeps_the_protocol() -> None:
    analyser: SemanticAnalyser = RuleAnalyser()
    text = "ryokan, deadlock, invoice, gripper, hypothesis"
    found = await analyser.analyse(text)
    assert found == analyse_text(text, ALL)
    assert set(found.tags) >= {"ryokan", "fault", "invoice", "gripper", "claim"}
    words_only = await RuleAnalyser([]).analyse("Two hotels for $90")
    assert words_only.tags == ("hotels", "two")
    assert entities(words_only) == [("$90", "money")]


TERMS = sorted(ALL.concepts)
FILLER = [
    "zzz",
    "straße",
    "İ",
    "e\u0301",
    "ﬁ",
    "🤖",
    "ｶﾞ",
    "京",
    "\u0301",
    "$90",
    "in",
    "3 May",
    "x@y.example",
]
SHAPES = [
    str,
    str.upper,
    str.title,
    lambda term: term.replace(" ", "-"),
    lambda term: term.replace(" ", "\n"),
]
mentions = st.builds(lambda term, shape: shape(term), st.sampled_from(TERMS), st.sampled_from(SHAPES))
texts = st.lists(
    mentions | st.sampled_from(FILLER) | st.sampled_from([" ", ". ", ", ", "", "-", "\n"]), max_size=12
).map("".join)


@given(texts)
def test_entities_stand_where_they_say(text: str) -> None:
    found = analyse_text(text, ALL)
    for entity in found.entities:
        assert entity.text == text[entity.start : entity.end] != ""
        if entity.tag:
            term = normal(entity.text)
            assert entity.tag in ALL.concepts[term]
            assert ALL.types[term] == (entity.type, entity.tag)
            assert entity.tag in found.tags
    assert all(one.end <= other.start for one, other in pairwise(found.entities))
    known = {entity.text for entity in found.entities} | set(found.tags)
    assert {end for one in found.relations for end in (one.subject, one.object)} <= known


@given(mentions, st.sampled_from(["zzz", "ﬁﬁ", "İ", "🤖🤖", "e\u0301", "京", "ß", "\n\n", "("]))
def test_a_term_is_found_wherever_it_stands(mention: str, around: str) -> None:
    text = f"{around} {mention} {around}"
    found = analyse_text(text, ALL)
    assert set(ALL.concepts[normal(mention)]) <= set(found.tags)
    if normal(mention) in ALL.types:
        start = len(around) + 1
        assert [(one.start, one.end) for one in found.entities] == [(start, start + len(mention))]


@given(st.text(max_size=60))
def test_any_text_is_analysed_within_bounds(text: str) -> None:
    if "\0" in text:
        with pytest.raises(InvalidInput, match="NUL"):
            analyse_text(text, ALL)
        return
    found = analyse_text(text, ALL)
    assert found == analyse_text(text, ALL)
    assert all(0 < len(tag) <= MAX_NAME for tag in found.tags)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "NoneType, not text"),
        ("a\0", "NUL"),
        ("\ud800", "surrogate"),
        ("a" * (MAX_TEXT + 1), "at most"),
    ],
    ids=range(4),
)
def test_what_is_no_text_is_refused(text: str, says: str) -> None:
    with pytest.raises(InvalidInput, match=f"The text to analyse.*{says}"):
        analyse_text(text, ALL)


HOSTILE = [
    "a",
    "a ",
    "hotel ",
    "hotel in ",
    "hotel-",
    "a\u0301\u0316",
    "\u0301",
    "ﷺ",
    "京",
    "ﬁ",
    "$1 ",
    "in ",
    "\n",
]
HOSTILE += ["http://", "İ", "robot arm of the ", " ".join(TERMS) + " "]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("piece", HOSTILE, ids=range(len(HOSTILE)))
def test_a_million_characters_are_analysed_within_bounds(piece: str) -> None:
    """Linear time: what is quadratic anywhere takes minutes, and the test's deadline fails it."""
    found = analyse_text((piece * (MAX_TEXT // len(piece) + 1))[:MAX_TEXT], ALL)
    assert len(found.tags) <= MAX_CONCEPTS + 12 <= MAX_TAGS
    assert len(found.entities) <= MAX_ENTITIES
    assert len(found.relations) <= MAX_RELATIONS
    assert all(len(tag) <= MAX_NAME for tag in found.tags)


def test_what_is_left_out_is_noted() -> None:
    found = analyse_text(", ".join(TERMS), ALL)
    assert len(found.entities) == MAX_ENTITIES
    assert len(found.tags) >= MAX_CONCEPTS
    assert len(found.notes) == 2
    assert found.notes[0].endswith(" concepts the commonest 100 were kept.")
    assert found.notes[1].endswith(" entities the first 500 were kept.")
    assert {one.subject for one in found.relations} | {one.object for one in found.relations} <= set(
        found.tags
    )
    broad = only({"name": "x", "broader": ["a", "b", "c"]}, *({"name": name} for name in "abc"))
    chain = analyse_text("x " + " in ".join(f"#{n}" for n in range(MAX_ENTITIES)), build_automaton([broad]))
    assert len(chain.relations) == MAX_RELATIONS
    assert chain.notes == ("Of 502 relations the first 500 were kept.",)
    linked = " ".join(f"ryokan in #{n}," for n in range(MAX_RELATIONS + 10))
    assert analyse_text(linked, build_automaton([])).notes == ("Of 510 entities the first 500 were kept.",)


def test_another_process_finds_the_same() -> None:
    """No order of sets, no hash of strings."""
    text = ", ".join(TERMS[::7]) + " in Kyoto for $90"
    code = (
        "import sys; from dyntaskmas_nb.sacms.analyser import *; "
        "print(ascii(analyse_text(sys.argv[1], RuleAnalyser().automaton)))"
    )
    here = ascii(analyse_text(text, ALL))
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", code, text],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == here
