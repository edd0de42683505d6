"""Embedders: text to vectors for relevance (paper §III-C, Eq. 14).

| Paper | Here |
|---|---|
| v(S), the vector of a semantic signature | `Embedder.embed` of the text after its tags |
| rel(S_q, S_n) = cos(v(S_q), v(S_n)), Eq. 14 | `vector_relevance` |
| θ, Eq. 15 | `Embedder.theta`, the default threshold recorded with the embedder |

A store keeps unit vectors and the `fingerprint` of the embedder that made them; it refuses another one.
"""

from __future__ import annotations

import math
import re
import zlib
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol

from dyntaskmas_nb.errors import InvalidInput, MissingExtra, StoreError
from dyntaskmas_nb.sacms.tags import content_words

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

_SPACES = re.compile(r"\s+")
_WORDS_REMEMBERED = 20_000


class Embedder(Protocol):
    """Turns texts into vectors. Called from worker threads, one call at a time."""

    @property
    def name(self) -> str:
        """What people read: says plainly whether it is semantic."""

    @property
    def dim(self) -> int:
        """Length of a vector."""

    @property
    def fingerprint(self) -> str:
        """Equal only for embedders whose vectors may be compared with each other."""

    @property
    def theta(self) -> float:
        """Default relevance threshold θ of Eq. 15, in [0, 1], calibrated for this embedder."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return float32 vectors of shape (len(texts), dim); a zero row means "nothing to compare"."""


class LexicalHashing:
    """The default embedder: counts of words, word pairs and character n-grams, hashed to `dim` places.

    It finds shared words and shared word parts, nothing more: it is *not* semantic, and its name says so.
    It needs no model, no download and no state, and gives the same vector in every process: the hash is
    CRC-32 with a fixed key, never Python's `hash`. Counts weigh 1 + ln(count); signs come from the hash, so
    that collisions cancel on average (Weinberger et al., arXiv:0902.2206).
    """

    name = "lexical hashing (not semantic)"
    theta = 0.15  # calibrated: see tests/sacms/test_embed.py, related above and unrelated below

    _PAIR_WEIGHT = 0.25
    _GRAM_WEIGHT = 1.0

    def __init__(self, dim: int = 384) -> None:
        if isinstance(dim, bool) or not isinstance(dim, int) or not 16 <= dim <= 65_536:
            raise InvalidInput(f"dim is {dim!r:.40}; give an integer between 16 and 65,536.")
        self.dim = dim
        self.fingerprint = f"lexical-hashing/1/{dim}"
        self._places = lru_cache(maxsize=_WORDS_REMEMBERED)(self._word_places)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return unit vectors of shape (len(texts), dim); texts without a word give zero rows."""
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
            vector[place] += sign * self._PAIR_WEIGHT * (1.0 + math.log(count))
        norm = math.sqrt(sum(value * value for value in vector))
        return [value / norm for value in vector] if norm else vector

    def _word_places(self, word: str) -> tuple[tuple[int, float], ...]:
        """A word is itself and its character 3- to 5-grams, which together weigh `_GRAM_WEIGHT`."""
        place, sign = self._place(f"w {word}")
        edged = f"<{word[:64]}>"
        grams = [edged[i : i + n] for n in (3, 4, 5) for i in range(len(edged) - n + 1)]
        share = self._GRAM_WEIGHT / math.sqrt(len(grams)) if grams else 0.0
        hashed = (self._place(f"g {gram}") for gram in grams)
        return ((place, float(sign)), *((where, plus * share) for where, plus in hashed))

    def _place(self, feature: str) -> tuple[int, int]:
        code = zlib.crc32(feature.encode(), 0x5AC35)
        # CRC-32 is linear: stir it (murmur3's finaliser) so that place and sign are independent.
        code = ((code ^ code >> 16) * 0x85EBCA6B) & 0xFFFFFFFF
        code = ((code ^ code >> 13) * 0xC2B2AE35) & 0xFFFFFFFF
        code ^= code >> 16
        return (code >> 1) % self.dim, 1 if code & 1 else -1


class SentenceTransformerEmbedder:
    """A sentence-transformers model whose weights are on this machine (extra `semantic`).

    Raises
    ------
    MissingExtra
        When sentence-transformers is not installed.
    """

    theta = 0.3  # usual for MiniLM; give your own when you know better

    def __init__(self, model: str, *, theta: float | None = None) -> None:
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError:
            raise MissingExtra(
                "sentence-transformers is not installed. Run: pip install 'dyntaskmas-nb[semantic]'"
            ) from None
        self._model: Any = SentenceTransformer(model, trust_remote_code=False)
        self.name = f"sentence-transformers {model}"
        self.dim = int(self._model.get_sentence_embedding_dimension())
        self.fingerprint = f"sentence-transformers/{model}/{self.dim}"
        if theta is not None:
            self.theta = theta

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return unit vectors of shape (len(texts), dim)."""
        import numpy as np

        made = self._model.encode(
            list(texts), convert_to_numpy=True, normalize_embeddings=True, show_progress_bar=False
        )
        return np.asarray(made, dtype=np.float32).reshape(-1, self.dim)


def embed_units(embedder: Embedder, texts: Sequence[str]) -> Vectors:
    """Return `embedder.embed(texts)` checked and scaled to unit rows; zero rows stay zero.

    Raises
    ------
    InvalidInput
        The embedder gave another shape than (len(texts), dim), or NaN or infinite values.
    StoreError
        The embedder itself failed.
    """
    import numpy as np

    if not texts:
        return np.zeros((0, embedder.dim), dtype=np.float32)
    try:
        made = embedder.embed([_SPACES.sub(" ", text) for text in texts])
    except Exception as error:  # the border: an embedder may be anybody's code
        raise StoreError(
            f"embedder {embedder.name!r} failed: {type(error).__name__}: {error}. Correct it and try again."
        ) from error
    vectors = np.asarray(made, dtype=np.float32)
    if vectors.shape != (len(texts), embedder.dim):
        raise InvalidInput(
            f"embedder {embedder.name!r} gave shape {vectors.shape}, not {(len(texts), embedder.dim)}. "
            "Correct its dim."
        )
    if not np.isfinite(vectors).all():
        raise InvalidInput(f"embedder {embedder.name!r} gave NaN or infinite values.")
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Vectors = (vectors / np.where(norms > 0, norms, 1)).astype(np.float32)
    return unit


def vector_relevance(left: Sequence[float] | Vectors, right: Sequence[float] | Vectors) -> float:
    """Return the cosine of two vectors (Eq. 14), in [-1, 1]; 0 when either is zero.

    References
    ----------
    arXiv:2503.07675, Eq. 14.

    Examples
    --------
    >>> vector_relevance([3.0, 4.0], [4.0, 3.0])
    0.96
    >>> vector_relevance([0.0, 0.0], [1.0, 0.0])
    0.0
    """
    import numpy as np

    a, b = np.asarray(left, dtype=np.float64), np.asarray(right, dtype=np.float64)
    if a.shape != b.shape or a.ndim != 1:
        raise InvalidInput(f"vectors of shapes {a.shape} and {b.shape} cannot be compared.")
    norms = float(np.linalg.norm(a) * np.linalg.norm(b))
    return round(min(1.0, max(-1.0, float(a @ b) / norms)), 12) if norms else 0.0
