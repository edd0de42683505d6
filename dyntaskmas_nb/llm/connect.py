"""From what a user writes to a backend: `connect("http://127.0.0.1:8000/v1")`."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from dyntaskmas_nb.errors import InvalidInput
from dyntaskmas_nb.llm.protocol import Backend

_NEXT = re.compile(r",\s*(?=https?://|embedded\b|simulated\b|hf:|trt:)")
"""Commas between models; others may be part of one."""


def connect(model: str | Path | Backend | Sequence[str | Path | Backend] | None = None) -> Backend:
    """Return the backend that `model` names. Nothing is loaded or contacted before the first call.

    None or "embedded": the teaching model that comes with the package. "simulated", or with a latency
    "simulated:constant:0.5". An address, "http://127.0.0.1:8000/v1", or with the model's name,
    "http://127.0.0.1:8000/v1#llama-3.1-8b"; a server that wants a key gets the environment's
    DYNTASKMAS_API_KEY. The folder of a Llama checkpoint, or "hf:NAME" for one that
    transformers finds by its name: on every GPU, else on the CPU. "trt:MODEL": TensorRT-LLM in this process.
    A backend: itself. A list of these, or addresses with commas between them: a `Pool`, which shares the
    requests out among them.

    Raises `InvalidInput` for none of these, `MissingExtra` where the package for one is not installed.
    """
    if isinstance(model, list | tuple):
        return _pool(model)
    text = model if isinstance(model, str) else ""  # a Path is always a folder
    if len(several := _NEXT.split(text)) > 1:
        return _pool(several)
    if model is None or text == "embedded":
        from dyntaskmas_nb.llm.embedded.engine import EmbeddedLlama

        return EmbeddedLlama()
    if text == "simulated" or text.startswith("simulated:"):
        from dyntaskmas_nb.llm.simulated import Simulated, latency_from_spec

        spec = text.partition(":")[2]
        return Simulated(latency_from_spec(spec) if spec else None)
    if text.startswith(("http://", "https://")):
        from dyntaskmas_nb.llm.openai_compatible import OpenAICompatible

        url, _, name = text.partition("#")
        return OpenAICompatible(url, name or None, os.environ.get("DYNTASKMAS_API_KEY"))
    if text.startswith("hf:"):
        from dyntaskmas_nb.llm.gpus import on_gpus

        return on_gpus(text.removeprefix("hf:"))
    if text.startswith("trt:"):
        from dyntaskmas_nb.llm.trt import TensorRT

        return TensorRT(text.removeprefix("trt:"))
    if isinstance(model, str | Path):
        if model != "" and Path(model).is_dir():
            return _checkpoint(Path(model))
    elif callable(getattr(model, "stream", None)) and not isinstance(model, type | Sequence):
        return model
    raise InvalidInput(
        f"model={model!r} is no model we know, and no folder of that name exists. Choose "
        '"embedded", "simulated", "simulated:constant:0.5", an address such as '
        '"http://127.0.0.1:8000/v1#model-name", the folder of a Llama checkpoint, "hf:NAME", "trt:MODEL", '
        "or a list of these."
    )


def _checkpoint(folder: Path) -> Backend:
    """One that speaks the kit's own chat format runs in NumPy, as the teaching model; others need torch."""
    from dyntaskmas_nb.llm.embedded.chat import speaks
    from dyntaskmas_nb.llm.embedded.engine import EmbeddedLlama
    from dyntaskmas_nb.llm.gpus import on_gpus

    if speaks(folder) or not (folder / "config.json").exists():
        return EmbeddedLlama(folder)  # which says what is missing, at its first use
    return on_gpus(folder)


def _pool(models: Sequence[str | Path | Backend]) -> Backend:
    from dyntaskmas_nb.llm.pool import Pool

    return Pool([connect(one) for one in models])
