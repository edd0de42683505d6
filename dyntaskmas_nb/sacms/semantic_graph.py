"""The semantic graph G_s = (V_s, E_s) of analysed texts (paper §III-C, Eqs. 10 and 11).

| Paper | Here |
|---|---|
| V_s = T ∪ E, Eq. 10 | tags and entities by `folding.normal`; what is both is one vertex, as in any union |
| E_s ⊆ E × E × R, Eq. 11 | edges with `relation`; several between the same two vertices are several edges |

Deviation: as printed, E_s = {(e_i, e_j, r) | e_i, e_j ∈ E, r ∈ R} links every entity to every one, itself
included, by every relation, whether or not anybody said so, and leaves the tags alone: n²·|R| edges that
know nothing. The default keeps the triples that were asserted and links each entity to its tags.
`as_printed=True` builds the other, to be looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from dyntaskmas_nb.errors import InvalidInput
from dyntaskmas_nb.sacms.analyser import Analysis
from dyntaskmas_nb.sacms.folding import normal

TAGGED = "tagged"
"""The relation of an entity to the tags that it gives a text."""

MAX_PRINTED = 100_000  # edges


def semantic_graph(analyses: Iterable[Analysis], *, as_printed: bool = False) -> Any:
    """Return G_s as a `networkx.MultiDiGraph` (arXiv:2503.07675, Eqs. 10 and 11).

    A vertex has `kind` ("tag", "entity" or "both"), `types` (of the entity, in order of appearance), `label`
    (as first written) and `mentions` (in how many analyses); an edge has `relation`, also its key, and
    `count` (how many analyses assert it). Edges point from the special to the general, so that
    `networkx.descendants` answers what something is.

    Raises `InvalidInput` if the graph as printed would have more than 100,000 edges.

    >>> import networkx as nx
    >>> from dyntaskmas_nb.sacms.analyser import RuleAnalyser, analyse_text
    >>> graph = semantic_graph([analyse_text("A ryokan in Kyoto", RuleAnalyser().automaton)])
    >>> nx.shortest_path(graph, "ryokan", "accommodation"), graph["ryokan"]["kyoto"]
    (['ryokan', 'hotel', 'accommodation'], AtlasView({'in': {'relation': 'in', 'count': 1}}))
    """
    import networkx as nx

    known = list(analyses)
    graph = nx.MultiDiGraph()
    for analysis in known:
        _add_vertices(graph, analysis)
    if as_printed:
        _link_as_printed(graph, known)
        return graph
    for analysis in known:
        for subject, relation, end in dict.fromkeys(_edges(analysis)):
            # An end that is no vertex yet becomes an entity: who asserts a triple asserts its ends.
            for name in (subject, end):
                if name not in graph:
                    graph.add_node(name, kind="entity", types=(), label=name, mentions=1)
            data = graph.get_edge_data(subject, end, relation)
            if data is None:
                graph.add_edge(subject, end, key=relation, relation=relation, count=1)
            else:
                data["count"] += 1
    return graph


def _add_vertices(graph: Any, analysis: Analysis) -> None:
    """Add T ∪ E of one analysis."""
    here: dict[str, tuple[str, str, tuple[str, ...]]] = {}  # vertex → label, kind, types
    for tag in analysis.tags:
        if name := normal(tag):
            here[name] = (tag, "tag", ())
    for entity in analysis.entities:
        if name := normal(entity.text):
            label, kind, types = here.get(name, (entity.text, "entity", ()))
            here[name] = (label, _united(kind, "entity"), (*types, entity.type))
    for name, (label, kind, types) in here.items():
        old = graph.nodes.get(name, {"label": label, "kind": kind, "types": (), "mentions": 0})
        graph.add_node(
            name,
            label=old["label"],
            kind=_united(old["kind"], kind),
            types=tuple(dict.fromkeys((*old["types"], *types))),
            mentions=old["mentions"] + 1,
        )


def _edges(analysis: Analysis) -> Iterable[tuple[str, str, str]]:
    """Yield the edges of one analysis: asserted triples, then entity to tag."""
    for one in analysis.relations:
        if (subject := normal(one.subject)) and (end := normal(one.object)):
            yield subject, one.relation, end
    words = {name: frozenset(name.split()) for tag in analysis.tags if (name := normal(tag))}
    for entity in dict.fromkeys(analysis.entities):
        name = normal(entity.text)
        inside = set(name.split())
        for tag, needed in words.items():
            if name and tag != name and (tag == entity.tag or needed <= inside):
                yield name, TAGGED, tag


def _link_as_printed(graph: Any, analyses: Sequence[Analysis]) -> None:
    """Add (e_i, e_j, r) for all of E × E × R."""
    entities = [name for name, kind in graph.nodes(data="kind") if kind != "tag"]
    relations = list(dict.fromkeys(one.relation for analysis in analyses for one in analysis.relations))
    if (many := len(entities) ** 2 * len(relations)) > MAX_PRINTED:
        raise InvalidInput(
            f"As printed, Eq. 11 gives {many:,} edges: {len(entities)}² pairs by {len(relations)} relations; "
            f"at most {MAX_PRINTED:,} are built. Take fewer texts."
        )
    for relation in relations:
        for subject in entities:
            for end in entities:
                graph.add_edge(subject, end, key=relation, relation=relation, count=1)


def _united(one: str, other: str) -> str:
    """The kind of a vertex that is of both."""
    return one if one == other else "both"
