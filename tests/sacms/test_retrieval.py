"""How well each embedder finds what was labelled relevant, and that θ is where its rule puts it."""

from __future__ import annotations

import numpy as np
import pytest

from dyntaskmas_nb.sacms.embed import Embedder, LexicalHashing, embed_units, embedder_of
from dyntaskmas_nb.sacms.tags import content_words
from tests.sacms.retrieval.labelled import (
    ANSWERED,
    ANSWERS,
    DOMAINS,
    KINDS,
    QUERIES,
    RELEVANT,
    SNIPPETS,
    TEXTS,
    Query,
    minilm_folder,
)

K = 5
# Least recall@5 over the queries of these kinds, a little below what is measured, which stands beside it.
LEAST = {
    "hashing": {"lexical": 0.99, "paraphrase": 0.005, "lexical paraphrase": 0.50},  # 1.000, 0.009, 0.505
    "minilm": {"lexical": 0.99, "paraphrase": 0.81, "lexical paraphrase": 0.90},  # 1.000, 0.818, 0.909
}


@pytest.fixture(scope="module", params=LEAST)
def embedder(request: pytest.FixtureRequest) -> Embedder:
    return LexicalHashing() if request.param == "hashing" else embedder_of(minilm_folder())


@pytest.fixture(scope="module")
def cosines(embedder: Embedder) -> np.ndarray:
    """Of each query with each snippet."""
    queries = embed_units(embedder, [query.text for query in QUERIES])
    return queries @ embed_units(embedder, [snippet.text for snippet in SNIPPETS]).T


def recall(cosines: np.ndarray, kinds: list[str]) -> float:
    """Mean share of a query's relevant snippets among its first K, over the queries of these kinds."""
    first = np.argsort(-cosines, axis=1, kind="stable")[:, :K]
    found = np.take_along_axis(RELEVANT, first, axis=1).sum(axis=1) / RELEVANT.sum(axis=1)
    return float(found[[query.kind in kinds for query in QUERIES]].mean())


def shared(query: Query) -> float:
    """Share of a query's content words that stand in one of its snippets."""
    texts = " ".join(snippet.text for snippet in SNIPPETS if snippet.id in query.relevant)
    asked = set(content_words(query.text))
    return len(asked & set(content_words(texts))) / len(asked)


# --- the set itself ----------------------------------------------------------------------------------------


def test_counts() -> None:
    for domain in DOMAINS:
        assert sum(snippet.domain == domain for snippet in SNIPPETS) >= 60
    of_kind = {kind: sum(query.kind == kind for query in QUERIES) for kind in KINDS}
    assert of_kind["lexical"] == of_kind["paraphrase"] >= 40
    assert sum(of_kind.values()) == len(QUERIES)
    assert sum(snippet.domain in DOMAINS for snippet in SNIPPETS) == len(SNIPPETS)


def test_ids_are_there_once() -> None:
    ids = [snippet.id for snippet in SNIPPETS]
    assert len(set(ids)) == len(ids)
    for query in QUERIES:
        assert 1 <= len(set(query.relevant)) == len(query.relevant) <= 3
        assert set(query.relevant) <= set(ids), query.text


def test_no_text_twice() -> None:
    """Nor the same sentence with other numbers."""
    for texts in ([snippet.text for snippet in SNIPPETS], [query.text for query in QUERIES]):
        bare = [tuple(word for word in content_words(text) if not word.isdigit()) for text in texts]
        assert len(set(bare)) == len(texts)
    assert all(len(snippet.text) <= 160 for snippet in SNIPPETS)


def test_kinds_are_what_they_say() -> None:
    of_kind = {kind: [shared(query) for query in QUERIES if query.kind == kind] for kind in KINDS}
    assert min(of_kind["lexical"]) >= 0.6
    assert max(of_kind["paraphrase"]) <= 0.2


def test_relevant_snippets_stay_in_one_domain() -> None:
    domain = {snippet.id: snippet.domain for snippet in SNIPPETS}
    assert all(len({domain[id] for id in query.relevant}) == 1 for query in QUERIES)


# --- what the embedders make of it -------------------------------------------------------------------------


def test_recall_at_5(request: pytest.FixtureRequest, cosines: np.ndarray) -> None:
    """Of the default, reported as it is; of MiniLM at least nine in ten over the whole set."""
    for kinds, least in LEAST[request.node.callspec.params["embedder"]].items():
        measured = recall(cosines, kinds.split())
        assert measured >= least, f"recall@{K} of {kinds} queries is {measured:.3f}"


def test_theta_is_where_youdens_index_is_greatest(embedder: Embedder, cosines: np.ndarray) -> None:
    """The share of relevant pairs above θ less that of the others, over both sets, in steps of 0.05."""
    small = embed_units(embedder, list(ANSWERS)) @ embed_units(embedder, TEXTS).T
    score = np.concatenate([cosines.ravel(), small.ravel()])
    wanted = np.concatenate([RELEVANT.ravel(), ANSWERED.ravel()])
    steps = [step / 20 for step in range(1, 20)]
    index = [(score[wanted] > theta).mean() - (score[~wanted] > theta).mean() for theta in steps]
    assert embedder.theta == steps[int(np.argmax(index))]


def test_theta_of_the_default_separates_the_small_set() -> None:
    embedder = LexicalHashing()
    cosines = embed_units(embedder, list(ANSWERS)) @ embed_units(embedder, TEXTS).T
    assert (cosines[ANSWERED] > embedder.theta).mean() >= 0.85
    assert (cosines[~ANSWERED] > embedder.theta).mean() <= 0.05
