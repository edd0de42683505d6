"""Stores to test, and nodes to put into them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from dyntaskmas_nb.sacms.chroma import ChromaStore
from dyntaskmas_nb.sacms.embed import Embedder
from dyntaskmas_nb.sacms.memory import MemoryStore
from dyntaskmas_nb.sacms.node import ContextNode, NodeId, Provenance, result_id

Make = Callable[..., ContextNode]


@pytest.fixture(scope="session")
def make() -> Make:
    def node(id: str, text: str = "", **fields: Any) -> ContextNode:
        fields.setdefault("domain", "travel")
        return ContextNode(id=NodeId(id), text=text, **fields)

    return node


@pytest.fixture(scope="session")
def result() -> Make:
    def node(task: str, text: str, *, run: str = "r1", attempt: int = 1, **fields: Any) -> ContextNode:
        made = Provenance(run=run, task=task, agent="agent", attempt=attempt, result=True)
        id = result_id(run, task, attempt)
        return ContextNode(id=id, domain="travel", text=text, provenance=made, **fields)

    return node


def without_index(path: Path, embedder: Embedder | None = None) -> ChromaStore:
    """A store whose index stays off: it answers exactly. Tests of the index have stores of their own."""
    store = ChromaStore(path, embedder)
    store.index.start = lambda: None
    return store


@pytest.fixture
async def chroma(tmp_path: Path) -> AsyncIterator[ChromaStore]:
    store = without_index(tmp_path / "store")
    yield store
    await store.aclose()


@pytest.fixture(params=["memory", "chroma"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[MemoryStore | ChromaStore]:
    made = MemoryStore() if request.param == "memory" else without_index(tmp_path / "store")
    yield made
    await made.aclose()
