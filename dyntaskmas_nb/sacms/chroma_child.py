"""The process that holds Chroma: reads requests from standard input, answers on standard output.

It is started by path (`python -P …/chroma_child.py DIRECTORY`), imports nothing of the package, opens no
port, and ends when its input ends, that is with its owner, however that one died. A frame is a length of
four bytes, big-endian, and JSON of that length. One collection a level holds unit vectors in cosine space;
ids are the sequence numbers of versions, as text. A request is one of

    {"op": "ids"}                                     → {level: [id, …]}
    {"op": "upsert", "level": L, "ids": […], "units": base64 of float32}  → true
    {"op": "delete", "level": L, "ids": […]}          → true
    {"op": "search", "access": A, "unit": base64, "n": n} → [[[id, …], [distance, …]], …], level by level

and the answer comes as {"ok": …} or {"error": text}. A search looks into collections of levels ≤ A only.
"""

from __future__ import annotations

import base64
import os
import signal
import struct
import sys
from typing import IO, Any

import orjson

MAX_FRAME = 1 << 28
_LEVEL = "level_"


def write_frame(stream: IO[bytes], message: Any) -> None:
    """Write one frame and flush it; raises OSError when the other end is gone."""
    body = orjson.dumps(message)
    stream.write(struct.pack(">I", len(body)) + body)
    stream.flush()


def read_frame(stream: IO[bytes]) -> Any:
    """Return the next frame's message; raises EOFError when the stream ends, also within a frame."""
    head = stream.read(4)
    if len(head) < 4:
        raise EOFError
    (length,) = struct.unpack(">I", head)
    if length > MAX_FRAME:
        raise EOFError
    body = stream.read(length)
    if len(body) < length:
        raise EOFError
    return orjson.loads(body)


class Collections:
    """Chroma's collections in `directory`, one a level."""

    def __init__(self, directory: str) -> None:
        import chromadb
        from chromadb.config import Settings

        settings = Settings(anonymized_telemetry=False)
        self._client = chromadb.PersistentClient(directory, settings=settings)
        self._levels: dict[int, Any] = {}
        for found in self._client.list_collections():
            if found.name.startswith(_LEVEL):
                self._collection(int(found.name.removeprefix(_LEVEL)))

    def handle(self, request: dict[str, Any]) -> Any:
        """Carry one request out and return its answer."""
        match request:
            case {"op": "ids"}:
                return {str(level): found.get(include=[])["ids"] for level, found in self._levels.items()}
            case {"op": "upsert", "level": level, "ids": ids, "units": units}:
                self._collection(level).upsert(ids=ids, embeddings=_vectors(units, len(ids)))
            case {"op": "delete", "level": level, "ids": ids}:
                self._collection(level).delete(ids=ids)
            case {"op": "search", "access": access, "unit": unit, "n": n}:
                query = _vectors(unit, 1)
                allowed = [self._levels[level] for level in sorted(self._levels) if level <= access]
                return [_search(collection, query, n) for collection in allowed]
            case _:
                raise ValueError(f"unknown request {request.get('op')!r}")
        return True

    def _collection(self, level: int) -> Any:
        if level not in self._levels:
            # Chroma keeps an existing collection's configuration silently: look before trusting it.
            made = self._client.get_or_create_collection(
                f"{_LEVEL}{level}", configuration={"hnsw": {"space": "cosine"}}, embedding_function=None
            )
            if made.configuration_json["hnsw"]["space"] != "cosine":
                raise ValueError(f"collection {made.name} is not in cosine space")
            self._levels[level] = made
        return self._levels[level]


def _vectors(text: str, rows: int) -> Any:
    import numpy as np

    return np.frombuffer(base64.b64decode(text), dtype="<f4").reshape(rows, -1)


def _search(collection: Any, query: Any, n: int) -> Any:
    found = collection.query(query_embeddings=query, n_results=n, include=["distances"])
    return [found["ids"][0], found["distances"][0]]


def main() -> None:
    """Serve until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the owner's to handle
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever libraries print must not get between the frames
    requests = sys.stdin.buffer
    import chromadb  # noqa: F401 (the long part of starting; the owner may still kill us without harm)

    write_frame(answers, {"ok": "imported"})
    collections = Collections(sys.argv[1])
    write_frame(answers, {"ok": "ready"})
    while True:
        try:
            request = read_frame(requests)
        except EOFError:
            return
        try:
            answer = {"ok": collections.handle(request)}
        except Exception as error:  # noqa: BLE001 (the border: a failure becomes an answer)
            answer = {"error": f"{type(error).__name__}: {error}"}
        write_frame(answers, answer)


if __name__ == "__main__":
    main()
