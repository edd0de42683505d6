"""The process that holds Chroma: reads requests from standard input, answers on standard output.

It is started by path (`python -P …/chroma_child.py DIRECTORY`), imports nothing of the package, opens no
port, and ends when its input ends, that is with its owner, however that one died. Requests and answers are
lines of JSON. One collection a level holds unit vectors (float32, in hexadecimal) in cosine space; ids are
the numbers of versions, as text. A request is one of

    {"op": "ids"}                                                → {level: [id, …]}
    {"op": "change", "rows": [[id, level, unit], …], "gone": [[id, level], …]}  → true
    {"op": "search", "access": A, "unit": unit, "n": n}          → [[[id, …], [distance, …], whole], …]

by level ≤ A, where `whole` is false if a level holds more than it gave, although fewer than n were found,

and the answer comes as {"ok": …} or {"error": text}; the first word, unasked, is {"ok": "ready"}.
"""

from __future__ import annotations

import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson

#: Chroma's own graph (16 neighbours, 100 candidates) misses vectors that are far from all others: asked for a
#: node's own unique word, it missed it in 1 of 15 questions among 4,000 such nodes, in none with these.
GRAPH = {"ef_search": 1000, "ef_construction": 200, "max_neighbors": 32}


class Collections:
    """Chroma's collections in `directory`, one a level."""

    def __init__(self, directory: str) -> None:
        import chromadb
        from chromadb.config import Settings

        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # till here the owner could end us without harm
        settings = Settings(anonymized_telemetry=False)
        self._client = chromadb.PersistentClient(directory, settings=settings)
        self._levels: dict[int, Any] = {}
        self._searched: set[int] = set()
        self._threads = ThreadPoolExecutor(4)  # Chroma lets go of the GIL while it searches
        for found in self._client.list_collections():
            self._collection(int(found.name.removeprefix("level_")))

    def handle(self, request: dict[str, Any]) -> Any:
        """Carry one request out and return its answer."""
        match request:
            case {"op": "ids"}:
                return {str(level): found.get(include=[])["ids"] for level, found in self._levels.items()}
            case {"op": "change", "rows": rows, "gone": gone}:
                for level in {level for _, level, _ in rows}:
                    new = [(id, unit) for id, at, unit in rows if at == level]
                    ids, units = zip(*new, strict=True)
                    self._collection(level).upsert(ids=list(ids), embeddings=_vectors(units))
                    if level not in self._searched:
                        # Until a collection was searched once, Chroma puts off what it is given; the first
                        # change after a search would make up for all of it, 0.5 ms a vector.
                        self._collection(level).query(query_embeddings=_vectors(units[:1]), n_results=1)
                        self._searched.add(level)
                for level in {level for _, level in gone}:
                    self._collection(level).delete(ids=[id for id, at in gone if at == level])
                return True
            case {"op": "search", "access": access, "unit": unit, "n": n}:
                asked = {"query_embeddings": _vectors([unit]), "n_results": n, "include": ["distances"]}
                allowed = [self._levels[level] for level in sorted(self._levels) if level <= access]
                return list(self._threads.map(lambda level: _search(level, n, asked), allowed))
        raise ValueError(f"unknown request {request.get('op')!r}")

    def _collection(self, level: int) -> Any:
        if level not in self._levels:
            # Chroma keeps an existing collection's configuration silently: look before trusting it.
            hnsw: Any = {"space": "cosine", **GRAPH}
            made = self._client.get_or_create_collection(
                f"level_{level}", configuration={"hnsw": hnsw}, embedding_function=None
            )
            has = made.configuration_json["hnsw"]
            if any(has[name] != value for name, value in hnsw.items()):
                raise ValueError(f"collection {made.name} has {has}, not {hnsw}")
            self._levels[level] = made
        return self._levels[level]


def _search(level: Any, n: int, asked: dict[str, Any]) -> tuple[list[str], list[float], bool]:
    found = level.query(**asked)
    ids = found["ids"][0]
    return ids, found["distances"][0], len(ids) == n or len(ids) == level.count()


def _vectors(units: Any) -> Any:
    import numpy as np

    return np.frombuffer(bytes.fromhex("".join(units)), dtype="<f4").reshape(len(units), -1)


def main() -> None:
    """Serve until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the owner's to handle
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever libraries print must not get between the answers
    collections = Collections(sys.argv[1])
    answer: dict[str, Any] = {"ok": "ready"}
    while True:
        answers.write(orjson.dumps(answer) + b"\n")
        answers.flush()
        if not (line := sys.stdin.buffer.readline()):
            return
        try:
            answer = {"ok": collections.handle(orjson.loads(line))}
        except Exception as error:  # noqa: BLE001 (the border: a failure becomes an answer)
            answer = {"error": f"{type(error).__name__}: {error}"}


if __name__ == "__main__":
    main()
