"""G_s of Eqs. 10 and 11: its vertices, its edges, and what networkx answers on it."""

from __future__ import annotations

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyntaskmas_nb.errors import InvalidInput
from dyntaskmas_nb.sacms.analyser import Analysis, Entity, Relation, RuleAnalyser, analyse_text
from dyntaskmas_nb.sacms.semantic_graph import TAGGED, semantic_graph

AUTOMATON = RuleAnalyser().automaton


def entity(text: str, kind: str = "thing", tag: str = "") -> Entity:
    return Entity(text=text, type=kind, start=0, end=len(text), tag=tag)


def relation(subject: str, name: str, end: str) -> Relation:
    return Relation(subject=subject, relation=name, object=end)


HOTEL = Analysis(
    tags=("hotel", "lodging", "price"),
    entities=(entity("Inn", "lodging", "hotel"), entity("Hotel Sakura", "name"), entity("Kyoto", "place")),
    relations=(relation("hotel", "broader", "lodging"), relation("Inn", "in", "Kyoto")),
)
TRAIN = Analysis(
    tags=("train", "hotel"),
    entities=(entity("KYOTO", "city"), entity("train", "transport", "train")),
    relations=(
        relation("train", "to", "kyoto"),
        relation("inn", "in", "Kyoto"),
        relation("train", "to", "Kyoto"),
    ),
)


def test_vertices_are_tags_and_entities() -> None:
    graph = semantic_graph([HOTEL, TRAIN])
    kinds = dict(graph.nodes(data="kind"))
    assert kinds == {
        "hotel": "tag",
        "lodging": "tag",
        "price": "tag",
        "inn": "entity",
        "hotel sakura": "entity",
        "kyoto": "entity",
        "train": "both",
    }
    assert graph.nodes["kyoto"] == {
        "kind": "entity", "types": ("place", "city"), "label": "Kyoto", "mentions": 2
    }  # fmt: skip
    assert graph.nodes["hotel"]["mentions"] == 2


def test_edges_are_what_was_asserted_and_the_tags_of_entities() -> None:
    graph = semantic_graph([HOTEL, TRAIN])
    assert set(graph.edges(keys=True, data="count")) == {
        ("hotel", "lodging", "broader", 1),
        ("inn", "kyoto", "in", 2),  # two analyses say so
        ("train", "kyoto", "to", 1),  # one says so twice
        ("inn", "hotel", TAGGED, 1),  # its concept
        ("hotel sakura", "hotel", TAGGED, 1),  # its word
    }
    assert all(data["relation"] == key for _, _, key, data in graph.edges(keys=True, data=True))


def test_a_tag_that_is_two_words_is_not_in_one_of_them() -> None:
    graph = semantic_graph([Analysis(tags=("train station", "train"), entities=(entity("night train"),))])
    assert list(graph.edges(keys=True)) == [("night train", "train", TAGGED)]


def test_an_end_that_nobody_listed_is_an_entity() -> None:
    graph = semantic_graph(
        [Analysis(tags=("a",), relations=(relation("a", "is", "B"), relation(" ", "is", "a")))]
    )
    assert dict(graph.nodes(data="kind")) == {"a": "tag", "b": "entity"}


def test_networkx_answers_on_it() -> None:
    graph = semantic_graph([analyse_text("A ryokan in Kyoto for $90. A hostel in Osaka.", AUTOMATON)])
    assert nx.shortest_path(graph, "ryokan", "accommodation") == ["ryokan", "hotel", "accommodation"]
    assert {"city", "place"} <= nx.descendants(graph, "kyoto")
    assert {"ryokan", "hostel"} <= nx.ancestors(graph, "accommodation")
    assert {"kyoto", "$90"} <= set(graph.successors("ryokan"))
    assert "hostel" not in nx.descendants(graph, "ryokan")


def test_as_printed_links_every_entity_to_every_one() -> None:
    graph = semantic_graph([HOTEL, TRAIN], as_printed=True)
    entities = {name for name, kind in graph.nodes(data="kind") if kind != "tag"}
    assert graph.number_of_edges() == len(entities) ** 2 * 3  # broader, in, to
    assert {end for edge in graph.edges() for end in edge} == entities
    assert graph.has_edge("kyoto", "kyoto", "to")
    assert set(graph) == set(semantic_graph([HOTEL, TRAIN]))


def test_as_printed_is_bounded() -> None:
    many = Analysis(
        tags=(), entities=tuple(entity(f"e{n}") for n in range(400)), relations=(relation("e1", "is", "e2"),)
    )
    with pytest.raises(InvalidInput, match="160,000 edges: 400² pairs by 1 relations; at most 100,000"):
        semantic_graph([many], as_printed=True)


def test_nothing_gives_nothing() -> None:
    assert len(semantic_graph([])) == len(semantic_graph([Analysis(tags=())], as_printed=True)) == 0


names = st.sampled_from(["hotel", "Hotel", "kyoto", "Kyoto Station", "inn", "", "\n"])
analyses = st.builds(
    Analysis,
    tags=st.lists(names, max_size=4).map(tuple),
    entities=st.lists(st.builds(entity, names, names, names), max_size=4).map(tuple),
    relations=st.lists(st.builds(relation, names, names, names), max_size=4).map(tuple),
)


@given(st.lists(analyses, max_size=3))
def test_laws(found: list[Analysis]) -> None:
    graph = semantic_graph(found)
    again = semantic_graph(iter(found))
    assert list(graph.nodes(data=True)) == list(again.nodes(data=True))
    assert list(graph.edges(keys=True, data=True)) == list(again.edges(keys=True, data=True))
    for name, data in graph.nodes(data=True):
        assert name.strip()
        assert 1 <= data["mentions"] <= len(found)
        assert data["kind"] in {"tag", "entity", "both"}
    for subject, end, key, data in graph.edges(keys=True, data=True):
        assert 1 <= data["count"] <= len(found)
        if (
            key == TAGGED
            and subject != end
            and not any(one.relation == TAGGED for a in found for one in a.relations)
        ):
            assert graph.nodes[subject]["kind"] != "tag"
            assert graph.nodes[end]["kind"] != "entity"
