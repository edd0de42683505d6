"""From what a user writes to a backend: `connect("http://127.0.0.1:8000/v1")`."""

from __future__ import annotations

from pathlib import Path

from dyntaskmas_nb.errors import InvalidInput
from dyntaskmas_nb.llm.protocol import Backend


def connect(model: str | Path | Backend | None = None) -> Backend:
    """Return the backend that `model` names. Nothing is loaded or contacted before the first call.

    None or "embedded": the teaching model that comes with the package. "simulated", or with a latency
    "simulated:constant:0.5". An address, "http://127.0.0.1:8000/v1", or with the model's name,
    "http://127.0.0.1:8000/v1#llama-3.1-8b". The folder of a Llama checkpoint. A backend: itself.

    Raises `InvalidInput` for none of these, `MissingExtra` for an address without the `openai` package.
    """
    text = model if isinstance(model, str) else ""  # a Path is always a folder
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
        return OpenAICompatible(url, model=name or None)
    if isinstance(model, str | Path):
        if model != "" and Path(model).is_dir():
            from dyntaskmas_nb.llm.embedded.engine import EmbeddedLlama

            return EmbeddedLlama(model)
    elif callable(getattr(model, "stream", None)) and not isinstance(model, type):
        return model
    raise InvalidInput(
        f"model={model!r} is no model we know, and no folder of that name exists. Choose "
        '"embedded", "simulated", "simulated:constant:0.5", an address such as '
        '"http://127.0.0.1:8000/v1#model-name", or the folder of a Llama checkpoint.'
    )
