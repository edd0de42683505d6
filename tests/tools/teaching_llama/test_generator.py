"""Laws of the teaching Llama's data: every plan valid, every fact copied, nothing held out is trained on."""

from __future__ import annotations

import json
import os
import random
import string
import subprocess
import sys
from collections.abc import Iterable, Iterator
from types import ModuleType

import pytest

from dyntaskmas_nb.agents.prompts import REFUSAL
from dyntaskmas_nb.llm.embedded.lexical import Names
from tools.teaching_llama import devops, documents, refusals, research, robots, travel, wide, words
from tools.teaching_llama import held as unseen
from tools.teaching_llama.agents import agent_example
from tools.teaching_llama.domains import DOMAINS, FIRST, PROBES, facts_of
from tools.teaching_llama.lexicon import LEXICON
from tools.teaching_llama.marks import mark, marked, plain, spans
from tools.teaching_llama.mixture import answer_pieces, draw, plan_example
from tools.teaching_llama.plan import REFUSED, read
from tools.teaching_llama.refusals import refused
from tools.teaching_llama.surfaces import Source

BOTH_SPLITS = pytest.mark.parametrize("held", [False, True], ids=["train", "held-out"])
EACH_DOMAIN = pytest.mark.parametrize("domain", DOMAINS, ids=lambda d: d.NAME)


def drawn(held: bool, domain: ModuleType, count: int = 400) -> Iterator[object]:
    source = Source(random.Random(5), held=held)
    return (domain.request(source) for _ in range(count))


def apart(train: Iterable[str], held: Iterable[str]) -> bool:
    """Whether no template stands in both, whatever its capitals and end mark."""
    return {x.casefold().rstrip("?! ") for x in train}.isdisjoint(x.casefold().rstrip("?! ") for x in held)


@BOTH_SPLITS
@EACH_DOMAIN
def test_every_plan_is_a_valid_graph_with_one_first_and_one_last_task(held: bool, domain: ModuleType) -> None:
    for t in drawn(held, domain):
        plan = domain.plan(t)
        assert read(plan.json()) == plan
        assert sum(not x.depends_on for x in plan.subtasks) == 1
        needed = {d for x in plan.subtasks for d in x.depends_on}
        assert [x.id for x in plan.subtasks if x.id not in needed] == [plan.subtasks[-1].id]


@BOTH_SPLITS
@EACH_DOMAIN
def test_every_fact_of_the_request_stands_in_it_and_most_reach_the_plan(
    held: bool, domain: ModuleType
) -> None:
    for t in drawn(held, domain):
        assert all(fact in t.sentence or fact[0].upper() + fact[1:] in t.sentence for fact in t.facts())
        plan = domain.plan(t).json()
        assert t.facts()[0] in plan if t.facts() else True


def test_the_plain_trip_is_the_papers_seven_agents() -> None:
    t = travel.Trip(place="Kyoto", adj="3-day", span="3 days", people="two", budget="1500 dollars")
    assert travel.plan(t).shape == {
        "preferences": frozenset(),
        "destination": {"preferences"},
        "transport": {"destination"},
        "accommodation": {"destination"},
        "attractions": {"destination"},
        "dining": {"destination"},
        "itinerary": {"transport", "accommodation", "attractions", "dining"},
    }
    assert travel.plan(t).subtasks[3].description == "Find accommodation in Kyoto for two within 1500 dollars"


@pytest.mark.parametrize(
    ("flag", "gone"),
    [
        ("flights", "transport"),
        ("hotel", "accommodation"),
        ("restaurants", "dining"),
        ("sights", "attractions"),
    ],
)
def test_what_is_booked_is_not_planned(flag: str, gone: str) -> None:
    assert gone not in travel.plan(travel.Trip(place="Oslo", flags=frozenset({flag}))).shape


@pytest.mark.parametrize("flag", ["visa", "insurance", "packing", "car"])
def test_what_is_asked_for_is_planned_and_reaches_the_itinerary(flag: str) -> None:
    shape = travel.plan(travel.Trip(place="Oslo", flags=frozenset({flag}))).shape
    assert flag in shape["itinerary"]


def test_a_report_searches_in_parallel_and_the_request_decides_where() -> None:
    plain = research.plan(research.Report(topic="bees")).shape
    assert plain["papers"] == plain["data"] == plain["news"] == plain["outline"] == {"scope"}
    assert plain["analysis"] == {"papers", "data", "news"}
    assert plain["draft"] == {"analysis", "outline"}
    only = research.plan(research.Report(topic="bees", flags=frozenset({"only", "slides"}))).shape
    assert only["analysis"] == {"papers"}
    assert only["slides"] == {"review"}


@EACH_DOMAIN
def test_a_domain_is_known_by_its_first_task(domain: ModuleType) -> None:
    for t in drawn(False, domain, 50):
        assert FIRST[domain.plan(t).subtasks[0].id] == domain.NAME


@BOTH_SPLITS
@EACH_DOMAIN
def test_every_fact_that_a_new_domain_draws_is_told_to_some_agent(held: bool, domain: ModuleType) -> None:
    if domain in (travel, research):
        return
    for t in drawn(held, domain):
        tasks = [x.description for x in domain.plan(t).subtasks]
        assert len(tasks) <= 16
        assert all(any(fact in x for x in tasks) for fact in t.facts())


@BOTH_SPLITS
@EACH_DOMAIN
def test_answers_copy_what_they_claim_to_copy_from_their_prompt(held: bool, domain: ModuleType) -> None:
    source = Source(random.Random(8), held=held)
    for _ in range(400):
        case = agent_example(source, domain)
        prompt = "\n".join(m.content for m in case.messages)
        assert all(entity in case.answer and entity in prompt for entity in case.entities)
        assert (case.answer == REFUSAL) == (case.kind == "agent-refusal")
        assert case.messages[1].content.count("\n") >= 2


def test_the_same_seed_draws_the_same_examples_in_every_process() -> None:
    code = (
        "import random; from tools.teaching_llama.mixture import draw;"
        "from tools.teaching_llama.surfaces import Source;"
        "s = Source(random.Random(4)); print([draw(s, 0.1).answer for _ in range(300)])"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1


def test_held_out_lists_share_nothing_with_training_lists() -> None:
    for name in ("PLACES", "PEOPLE", "LIKES", "TOPICS", "ADJECTIVES", "AUDIENCES"):
        train, held = (set(getattr(words, f"{split}_{name}")) for split in ("TRAIN", "HELD"))
        assert train.isdisjoint(held), name
    assert apart(refusals.TRAIN, refusals.HELD)
    for domain in DOMAINS:
        for kind in ("HEADS", "HEADS_FOR", "HEADS_BARE", "SOMEWHERE", "KINDS", "ADDED"):
            assert apart(getattr(domain, kind, ()), getattr(domain, f"HELD_{kind}", ())), (domain.NAME, kind)
        for train, held in ((domain.CLAUSES, domain.HELD_CLAUSES), (domain.CONTEXT, domain.HELD_CONTEXT)):
            assert train.keys() == held.keys()
            for kind in train:
                assert apart(train[kind], held[kind]), (domain.NAME, kind)
    for domain in (devops, documents, robots):
        assert domain.VALUES.keys() == domain.HELD_VALUES.keys() == set(facts_of(domain))
        for kind, values in domain.VALUES.items():
            assert apart(values, domain.HELD_VALUES[kind]), (domain.NAME, kind)
    assert apart(wide.TRAVEL["PEOPLE"], unseen.TRAVEL["PEOPLE"])
    assert apart(wide.TRAVEL["WHEN"], unseen.TRAVEL["WHEN"])
    assert apart(wide.RESEARCH["DEADLINE"], unseen.RESEARCH["DEADLINE"])
    assert apart(wide.RESEARCH["TOPIC"], unseen.RESEARCH["TOPIC"])


def test_no_held_out_name_occurs_in_any_training_text() -> None:
    names = set(words.HELD_PLACES) | {w for w in words.HELD_PEOPLE if " " not in w}
    source, text = Source(random.Random(2)), []
    for _ in range(3000):
        case = draw(source)
        text.append(case.answer + " ".join(m.content for m in case.messages))
    found = {name for name in names if name in " ".join(text)}
    assert found <= {"Fez", "Brno"}  # so short that random letters may spell them


def test_no_sentence_written_by_hand_is_a_training_template() -> None:
    assert apart(refusals.TRAIN, PROBES["outside"])
    for domain in DOMAINS:
        assert apart((*domain.HEADS, *domain.HEADS_BARE), PROBES[domain.NAME])


def test_marks_leave_no_trace_in_answers_and_every_copied_word_is_a_placeholder() -> None:
    source = Source(random.Random(6))
    for _ in range(500):
        case = draw(source)
        names = Names(LEXICON)
        for message in case.messages:
            assert not set("\ue000\ue001") & set(message.content)
            list(names.split(message.content))
        pieces = list(answer_pieces(case.target, names))
        assert "".join(p if isinstance(p, str) else names.text(p) for p in pieces) == case.answer
        assert any(isinstance(p, int) for p in pieces) or not case.entities


def test_a_fact_within_a_fact_is_one_fact() -> None:
    inner = mark("Kyoto")
    text = "at " + mark(f"the {inner} Inn") + "."
    assert plain(text) == "at the Kyoto Inn."
    assert spans(text) == ("at the Kyoto Inn.", [False] * 3 + [True] * 13 + [False])
    assert mark("") == ""
    assert marked(travel.Trip(place="Oslo", sentence="trip to Oslo")) == travel.Trip(
        place=mark("Oslo"), sentence="trip to Oslo"
    )


@pytest.mark.parametrize(
    "text",
    [
        REFUSED,
        "{",
        '{"subtasks":[]}',
        '{"subtasks":[{"id":"a","description":"","role":"","complexity":1,"depends_on":["a"]}]}',
        '{"subtasks":[{"id":"a","description":"","role":"","complexity":1,"depends_on":["b"]}]}',
        '{"subtasks":[{"id":"a","description":"","role":"","complexity":1,"depends_on":["b"]},'
        '{"id":"b","description":"","role":"","complexity":1,"depends_on":["a"]}]}',
    ],
)
def test_an_invalid_plan_is_not_read(text: str) -> None:
    assert read(text) is None


def test_refusals_fill_every_placeholder() -> None:
    source = Source(random.Random(1))
    assert not any(set("{}") & set(refused(source)) for _ in range(2000))


def test_plan_json_is_compact_and_in_key_order() -> None:
    text = plan_example(Source(random.Random(1)), travel).answer
    rows = json.loads(text)["subtasks"]
    assert list(rows[0]) == ["id", "description", "role", "complexity", "depends_on"]
    assert text == json.dumps({"subtasks": rows}, separators=(",", ":"), ensure_ascii=False)
    assert all(set(x["id"]) <= set(string.ascii_lowercase) and 1 <= x["complexity"] <= 9 for x in rows)
