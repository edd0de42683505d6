"""Embedders: text to vectors for relevance (paper §III-C, Eq. 14).

| Paper | Here |
|---|---|
| v(S), the vector of a semantic signature | `Embedder.embed` of the text after its tags |
| rel(S_q, S_n) = cos(v(S_q), v(S_n)), Eq. 14 | `vector_relevance` |
| θ, Eq. 15 | `Embedder.theta`, the default threshold recorded with the embedder |

A store keeps unit vectors and the `fingerprint` of the embedder that made them; it refuses another one.

# Paper silent: we chose each θ where Youden's index is greatest, in steps of 0.05: the share of relevant
# pairs of query and text above θ, less the share of the others. tests/sacms/test_retrieval.py recomputes it
# over its labelled pairs. It lets more in than one might; hits are ranked, and k and budgets cut them.
"""

from __future__ import annotations

import inspect
import math
import os
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from dyntaskmas_nb.errors import InvalidInput, StoreError
from dyntaskmas_nb.sacms.tags import content_words

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

_WORDS_REMEMBERED = 20_000
_PAIR_WEIGHT = 0.25  # of a word pair, where a word weighs 1 and its character n-grams together 1


@runtime_checkable
class Embedder(Protocol):
    """Turns texts into vectors. Called from worker threads, one call at a time.

    `name`: what people read, says plainly whether it is semantic. `dim`: length of a vector. `fingerprint`:
    equal only for embedders whose vectors may be compared. `theta`: its threshold θ (Eq. 15), in [0, 1].
    """

    name: str
    dim: int
    fingerprint: str
    theta: float

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return float32 vectors of shape (len(texts), dim); a zero row means "nothing to compare"."""


class LexicalHashing:
    """The default embedder: counts of words, word pairs and character n-grams, hashed to `dim` places.

    It finds shared words and shared word parts, nothing more: it is *not* semantic, and its name says so.
    It needs no model and gives the same vector in every process: the hash is CRC-32, never Python's
    `hash`. Counts weigh 1 + ln(count); signs come from the hash, so that collisions cancel on average
    (Weinberger et al., arXiv:0902.2206).
    """

    name = "lexical hashing (not semantic)"
    theta = 0.15

    def __init__(self, dim: int = 384) -> None:
        self.dim = dim
        self.fingerprint = f"lexical-hashing/1/{dim}"
        self._places = lru_cache(maxsize=_WORDS_REMEMBERED)(self._word_places)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return vectors of shape (len(texts), dim); texts without a word give zero rows."""
        import numpy as np

        vectors = np.empty((len(texts), self.dim), dtype=np.float32)
        for row, text in enumerate(texts):  # row by row: one big conversion would hold the GIL too long
            vectors[row] = self._vector(text)
        return vectors

    def _vector(self, text: str) -> list[float]:
        vector = [0.0] * self.dim
        found = content_words(text)
        for word, count in Counter(found).items():
            weight = 1.0 + math.log(count)
            for place, value in self._places(word):
                vector[place] += weight * value
        for pair, count in Counter(pairwise(found)).items():
            place, sign = self._place(f"p {pair[0]} {pair[1]}")
            vector[place] += sign * _PAIR_WEIGHT * (1.0 + math.log(count))
        return vector

    def _word_places(self, word: str) -> list[tuple[int, float]]:
        """A word is itself and its character 3- to 5-grams, which together weigh as much."""
        edged = f"<{word[:64]}>"
        grams = [edged[i : i + n] for n in (3, 4, 5) for i in range(len(edged) - n + 1)]
        share = 1.0 / math.sqrt(len(grams))
        hashed = (self._place(f"g {gram}") for gram in grams)
        return [self._place(f"w {word}"), *((place, sign * share) for place, sign in hashed)]

    def _place(self, feature: str) -> tuple[int, float]:
        code = zlib.crc32(feature.encode(), 0x5AC35)
        # CRC-32 is linear: stir it (murmur3's finaliser) so that place and sign are independent.
        code = ((code ^ code >> 16) * 0x85EBCA6B) & 0xFFFFFFFF
        code = ((code ^ code >> 13) * 0xC2B2AE35) & 0xFFFFFFFF
        code ^= code >> 16
        return (code >> 1) % self.dim, 1.0 if code & 1 else -1.0


class FunctionEmbedder:
    """Anybody's function from texts to vectors of shape (len(texts), dim), `dim` found out by one call.

    `fingerprint`: changes when the function's vectors do. Unless given it is the function's qualified name,
    and then editing the function goes unnoticed. `theta`: MiniLM's unless given.

    Raises InvalidInput if the call fails or gives another shape, or if there is no name to go by: one method
    or callable object may stand for many models.
    """

    def __init__(
        self, function: Callable[[list[str]], Any], *, fingerprint: str | None = None, theta: float = 0.2
    ) -> None:
        import numpy as np

        label = fingerprint or getattr(function, "__qualname__", "")
        if not label or (not fingerprint and inspect.ismethod(function)):
            raise InvalidInput(
                f"nothing tells the vectors of {function!r:.80} from another model's; "
                "give FunctionEmbedder(..., fingerprint='a name for the model and its version')."
            )
        try:
            shape: object = np.asarray(function(["one text"]), dtype=np.float32).shape
        except Exception as error:  # noqa: BLE001 (the border: an embedder may be anybody's code)
            shape = f"{type(error).__name__}: {error}"
        match shape:
            case (1, int(dim)) if dim > 0:
                self.dim = dim
            case _:
                raise InvalidInput(
                    f"the function {label!r:.80} must turn a list of n texts into vectors of shape (n, dim); "
                    f"of one text it made {shape!s:.200}."
                )
        self._function = function
        self.name = f"function {label}"
        place = "" if fingerprint else f"{getattr(function, '__module__', '')}."
        self.fingerprint = f"function/{place}{label}/{self.dim}"
        self.theta = theta

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return what the function makes of the texts, whatever it is; `embed_units` checks it."""
        made: Vectors = self._function(list(texts))
        return made


def embedder_of(choice: object = None) -> Embedder:
    """Return the embedder that `choice` stands for.

    None or "lexical" is `LexicalHashing`, other text and paths a `SentenceTransformerEmbedder`, a function
    from texts to vectors a `FunctionEmbedder`, and an embedder is itself.

    Raises InvalidInput if it is none of these or does not work, MissingExtra if a library is missing.

    >>> embedder_of("lexical").fingerprint
    'lexical-hashing/1/384'
    """
    match choice:
        case None | "lexical":
            return LexicalHashing()
        case str() | os.PathLike():
            from dyntaskmas_nb.sacms.sentences import SentenceTransformerEmbedder

            return SentenceTransformerEmbedder(choice)
        case Embedder() if not isinstance(choice, type):
            return choice
        case _ if callable(choice) and not isinstance(choice, type):
            return FunctionEmbedder(choice)
    raise InvalidInput(
        f"the embedder is {choice!r:.80}; give 'lexical', the name or path of a sentence-transformers model, "
        "a function from texts to vectors, or an Embedder."
    )


def embed_units(embedder: Embedder, texts: Sequence[str]) -> Vectors:
    """Return `embedder.embed(texts)`, checked and scaled to unit rows; zero rows stay zero.

    Raises StoreError if the embedder failed, InvalidInput if it gave another shape than (len(texts), dim),
    NaN or infinity.
    """
    import numpy as np

    if not texts:
        return np.zeros((0, embedder.dim), dtype=np.float32)
    try:
        vectors = np.asarray(embedder.embed(texts), dtype=np.float32)
    except Exception as error:  # the border: an embedder may be anybody's code
        raise StoreError(
            f"embedder {embedder.name!r} failed: {type(error).__name__}: {error}. Correct it and try again."
        ) from error
    if vectors.shape != (len(texts), embedder.dim) or not np.isfinite(vectors).all():
        raise InvalidInput(
            f"embedder {embedder.name!r} gave NaN, infinity or shape {vectors.shape}; give finite vectors of "
            f"shape {(len(texts), embedder.dim)}."
        )
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Vectors = (vectors / np.where(norms > 0, norms, 1)).astype(np.float32)
    return unit


def vector_relevance(units: Vectors | NDArray[np.float64], query: Vectors) -> NDArray[np.float64]:
    """Return the cosine of a unit vector with each unit row of `units`, shape (n, dim) (Eq. 14).

    Rounded to six places, so that a node gets the same relevance however many rows are compared at once.
    Reference: arXiv:2503.07675, Eq. 14.

    >>> import numpy as np
    >>> vector_relevance(np.array([[1.0, 0.0], [0.6, 0.8]]), np.array([0.6, 0.8])).tolist()
    [0.6, 1.0]
    """
    import numpy as np

    cosines = units.astype(np.float64, copy=False) @ query.astype(np.float64)
    return np.clip(cosines, -1.0, 1.0).round(6)
