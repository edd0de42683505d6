"""One engine for each GPU of this machine, and who gets which: placement and least-loaded routing by `Pool`.

A model that one GPU holds is copied to each: that scales without the GPUs talking to each other. One that is
larger is split over several in tensor parallel, which TensorRT-LLM does (`trt.TensorRT(model, gpus=4)`) and
vLLM and trtllm-serve do as servers; several such groups are several servers, each started with
CUDA_VISIBLE_DEVICES for its own GPUs, whose addresses go to a pool.
"""

from __future__ import annotations

import logging
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from dyntaskmas_nb.errors import MissingExtra
from dyntaskmas_nb.llm.hugging.engine import TransformersLlama
from dyntaskmas_nb.llm.pool import Pool
from dyntaskmas_nb.llm.protocol import Backend

log = logging.getLogger(__name__)


def on_gpus(path: str | Path, **options: Any) -> Backend:
    """Return the Hugging Face checkpoint `path` on every CUDA GPU, or on the CPU where there is none.

    `options` are those of `TransformersLlama`. Nothing is loaded before the first request. That there is no
    GPU is said once, in the log. Raises `MissingExtra` without torch and transformers, `InvalidInput` for
    options that make no sense.
    """
    count = _gpus()
    if count == 0:
        log.warning("There is no CUDA GPU that torch can use: %s is computed on the CPU, slowly.", path)
    if count < 2:
        return TransformersLlama(path, **options)
    return Pool([TransformersLlama(path, device=f"cuda:{index}", **options) for index in range(count)])


def _gpus() -> int:
    try:
        import torch

        if find_spec("transformers") is None:
            raise ImportError("transformers")
    except ImportError as error:
        raise MissingExtra(
            "Hugging Face checkpoints need torch and transformers. Install them: pip install "
            "'dyntaskmas-nb[llama]' (see the README for torch without CUDA)."
        ) from error
    return torch.cuda.device_count() if torch.cuda.is_available() else 0
