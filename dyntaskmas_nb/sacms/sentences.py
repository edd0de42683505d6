"""The semantic embedder: a sentence-transformers model from this machine's disk (paper §III-C, Eq. 14)."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dyntaskmas_nb.errors import InvalidInput, MissingExtra

if TYPE_CHECKING:
    from dyntaskmas_nb.sacms.embed import Vectors

_MODEL_FILES = {".safetensors", ".bin", ".json", ".txt", ".model"}  # weights, settings, vocabularies


class SentenceTransformerEmbedder:
    """A sentence-transformers model on this machine (extra `semantic`); nothing is ever downloaded.

    `model`: the path of its folder, or a name in the local Hugging Face cache. A text past the model's limit
    (MiniLM: 256 word pieces) counts by its beginning. It runs on the CPU in batches, and the same call gives
    the same bits; what else is in a batch moves a cosine by about 1e-7. The fingerprint is that of the
    model's files, wherever they lie. `theta` is MiniLM's; another model's cosines may need another.

    Raises MissingExtra without sentence-transformers, InvalidInput if the model is not here or not whole.
    """

    def __init__(self, model: str | os.PathLike[str], *, theta: float = 0.2) -> None:
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError:
            raise MissingExtra(
                "sentence-transformers is not installed. Run: pip install 'dyntaskmas-nb[semantic]'"
            ) from None
        folder = _folder_of(os.fspath(model))
        try:
            self._model: Any = SentenceTransformer(
                str(folder), device="cpu", local_files_only=True, trust_remote_code=False
            )
            self.dim = int(self._model.get_embedding_dimension())
        except Exception as error:  # the border: a folder may hold anything
            raise InvalidInput(
                f"{folder} holds no whole sentence-transformers model ({type(error).__name__}: "
                f"{' '.join(str(error).split()):.200}); fetch it again, nothing is downloaded by itself."
            ) from error
        self.name = f"sentence-transformers {os.fspath(model)}"
        self.fingerprint = f"sentence-transformers/{_digest(folder)}/{self.dim}"
        self.theta = theta

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return vectors of shape (len(texts), dim); blank texts give zero rows."""
        made: Vectors = self._model.encode(list(texts), convert_to_numpy=True, show_progress_bar=False)
        made[[not text.strip() for text in texts]] = 0
        return made


def _folder_of(model: str) -> Path:
    if os.path.isdir(model):
        return Path(model)
    from huggingface_hub import snapshot_download

    name = model if "/" in model else f"sentence-transformers/{model}"
    try:  # by ourselves: given a name, sentence-transformers calls huggingface.co even for local files only
        return Path(snapshot_download(name, local_files_only=True))
    except (OSError, ValueError):
        raise InvalidInput(
            f"no sentence-transformers model {model!r:.200} is on this machine, and nothing is downloaded by "
            "itself; fetch one (`hf download sentence-transformers/all-MiniLM-L6-v2`), or give its folder."
        ) from None


def _digest(folder: Path) -> str:
    whole = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.suffix in _MODEL_FILES and path.is_file()):
        with path.open("rb") as file:
            whole.update(path.relative_to(folder).as_posix().encode() + b"\0")
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()[:16]
