"""Ontologies: those that come along, and one clear sentence for each that is refused."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyntaskmas_nb.errors import CycleError, InvalidInput
from dyntaskmas_nb.sacms.folding import normal
from dyntaskmas_nb.sacms.ontology import (
    BUILTIN,
    MAX_BYTES,
    MAX_SYNONYMS,
    Concept,
    Ontology,
    all_broader,
    builtin_ontology,
    merge,
    read_ontology,
)


def of(*concepts: dict[str, Any], domain: str = "mine") -> dict[str, Any]:
    return {"domain": domain, "concepts": list(concepts)}


@pytest.mark.parametrize("domain", BUILTIN)
def test_what_comes_along_is_whole(domain: str) -> None:
    ontology = builtin_ontology(domain)
    assert ontology.domain == domain
    assert 40 <= len(ontology.concepts) <= 80
    terms = [term for concept in ontology.concepts for term in (concept.name, *concept.synonyms)]
    assert len(terms) == len(set(terms)) >= 150
    assert all(term == normal(term) for term in terms)
    assert sum(bool(concept.type) for concept in ontology.concepts) >= 40
    assert sum(bool(concept.broader) for concept in ontology.concepts) >= 30


def test_the_files_are_those_that_are_named() -> None:
    there = files("dyntaskmas_nb.sacms").joinpath("ontologies").iterdir()
    assert sorted(file.name for file in there) == [f"{domain}.json" for domain in BUILTIN]


def test_from_a_file_a_path_and_a_mapping(tmp_path: Path) -> None:
    mine = of({"name": "Check-in", "synonyms": ["Anreise"], "type": "Event"})
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(mine), encoding="utf-8")
    wanted = Ontology(
        domain="mine", concepts=(Concept(name="check in", synonyms=("anreise",), type="event"),)
    )
    assert read_ontology(path) == read_ontology(str(path)) == read_ontology(mine) == wanted


REFUSED: list[tuple[Any, str]] = [
    ({}, "The ontology, domain: field required"),
    (of({"name": 3}), r"The ontology, concepts\[0\].name: input should be a valid string"),
    (of({"name": "a"}, {"synonyms": []}), r"concepts\[1\].name: field required"),
    (of({"name": "a", "sinonyms": []}), r"concepts\[0\].sinonyms: unexpected"),
    (of({"name": "a", "broader": "b"}), r"concepts\[0\].broader: input should be a valid array"),
    (of({"name": " "}), "concept ' ' holds ' '; a term has 1 to 80 characters"),
    (of({"name": "a", "synonyms": ["x" * 81]}), "concept 'a' holds 'xxx"),
    (of({"name": "a", "synonyms": ["ﷺ" * 80]}), "no writing"),
    (of({"name": "a\u0000b"}), "no writing"),
    (of({"name": "a", "type": "x" * 81}), "concept 'a' holds"),
    (of({"name": "a", "synonyms": [f"s{n}" for n in range(MAX_SYNONYMS + 1)]}), "more than 64 synonyms"),
    (of({"name": "a"}, {"name": "A"}), "concept 'a' is there twice"),
    (of({"name": "a", "synonyms": ["A"]}), "'a', a synonym of 'a', is already a term of 'a'"),
    (
        of({"name": "a", "synonyms": ["x"]}, {"name": "b", "synonyms": ["X"]}),
        "'x', a synonym of 'b', is already a term of 'a'",
    ),
    (of({"name": "b", "synonyms": ["a"]}, {"name": "a"}), "'a', a synonym of 'b', is already a term of 'a'"),
    (of({"name": "a", "broader": ["b"]}), "'a' has the broader concept 'b', which is none"),
    (of(domain=" "), "the domain needs a name"),
    (of(domain="x" * 81), "the domain needs a name"),
    ({"domain": "a", "concepts": {1, 2}}, "is not JSON"),
    (Path("/nowhere/at/all.json"), "cannot be read"),
    ("a\u0000b", "cannot be read"),
    (17, "cannot be read"),
]


@pytest.mark.parametrize(("source", "says"), REFUSED, ids=range(len(REFUSED)))
def test_refused(source: Any, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        read_ontology(source)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "bad.json: invalid JSON"),
        (b"\xff\xfe", "bad.json: invalid JSON"),
        (b"[" * 100_000, "bad.json: invalid JSON"),
        (b'{"domain": "x", "concepts": [{"name": "a"}, {"name": "a"}]}', "bad.json: concept 'a' is there"),
        (b" " * (MAX_BYTES + 1), "bad.json has more than 4,000,000 bytes"),
    ],
    ids=range(5),
)
def test_a_bad_file_is_named(tmp_path: Path, data: bytes, says: str) -> None:
    path = tmp_path / "bad.json"
    path.write_bytes(data)
    with pytest.raises(InvalidInput, match=says):
        read_ontology(path)


def test_too_many_concepts_are_refused() -> None:
    with pytest.raises(InvalidInput, match="has 20,001 concepts; at most 20,000"):
        read_ontology(of(*({"name": f"c{n}"} for n in range(20_001))))


@pytest.mark.parametrize(
    ("edges", "cycle"),
    [(["aa"], ("a", "a")), (["ab", "ba"], ("a", "b", "a")), (["ab", "bc", "cd", "db"], ("b", "c", "d", "b"))],
)
def test_a_cycle_is_refused_with_its_concepts(edges: list[str], cycle: tuple[str, ...]) -> None:
    concepts = [{"name": edge[0], "broader": [edge[1]]} for edge in edges]
    with pytest.raises(CycleError, match=" → ".join(cycle)) as caught:
        read_ontology(of(*concepts))
    assert caught.value.cycle == cycle


def test_unknown_builtin_names_those_there_are() -> None:
    with pytest.raises(InvalidInput, match=r"no built-in ontology 'cooking'.*devops, documents"):
        builtin_ontology("cooking")


def test_one_extends_another() -> None:
    travel = builtin_ontology("travel")
    mine = of({"name": "capsule hotel", "broader": ["hotel"]}, {"name": "hotel", "synonyms": ["guesthouse"]})
    both = read_ontology(mine, extends=travel)
    hotels = [concept for concept in both.concepts if concept.name == "hotel"]
    assert hotels == [
        Concept(
            name="hotel", synonyms=("inn", "resort", "guesthouse"), broader=("accommodation",), type="lodging"
        )
    ]
    assert len(both.concepts) == len(travel.concepts) + 1
    with pytest.raises(InvalidInput, match="a synonym of 'capsule hotel', is already a term of 'hotel'"):
        read_ontology(of({"name": "capsule hotel", "synonyms": ["inn"]}), extends=travel)


def test_merge_unites_and_refuses() -> None:
    one = read_ontology(of({"name": "a"}, {"name": "b", "broader": ["a"], "type": "x"}, domain="one"))
    two = read_ontology(of({"name": "b", "synonyms": ["c"], "type": "y"}, domain="two"))
    both = merge(one, two)
    assert both.domain == "one"
    assert both.concepts[1] == Concept(name="b", synonyms=("c",), broader=("a",), type="y")
    assert merge(one, two, domain="both").domain == "both"
    assert merge(one, one) == one
    around = read_ontology(of({"name": "b"}, {"name": "a", "broader": ["b"]}))
    with pytest.raises(CycleError, match="The merged ontology: broader goes around"):
        merge(one, around)


def test_what_is_above_is_bounded_and_ends() -> None:
    assert all_broader("a", {"a": ["b"], "b": ["a", "c"]}) == ["b", "c"]
    chain = {str(n): [str(n + 1)] for n in range(10_000)}
    assert all_broader("0", chain) == [str(n) for n in range(1, 101)]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["a", "b"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from("domain concepts name synonyms broader type".split()), inner)
    ),
    max_leaves=12,
)
rows = st.fixed_dictionaries(
    {"name": st.sampled_from("abc") | st.text(max_size=3)},
    optional={"synonyms": st.lists(st.sampled_from("abcde"), max_size=2),
              "broader": st.lists(st.sampled_from("abc"), max_size=2), "type": json_values},
)  # fmt: skip


@given(json_values | st.builds(lambda rows: of(*rows), st.lists(rows, max_size=4)))
def test_anything_is_an_ontology_or_refused(source: Any) -> None:
    try:
        ontology = read_ontology(source if isinstance(source, dict) else {"concepts": source})
    except InvalidInput:
        return
    names = [concept.name for concept in ontology.concepts]
    assert len(names) == len(set(names))
    assert merge(ontology) == ontology
