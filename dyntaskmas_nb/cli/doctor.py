"""``dyntaskmas doctor``: what is here, what is not, what to do about it; ``--try``: whether a model works."""

from __future__ import annotations

import argparse
import os
import socket
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import anyio

from dyntaskmas_nb.errors import BackendError, DynTaskError
from dyntaskmas_nb.kit.kit import HOME
from dyntaskmas_nb.llm.connect import connect
from dyntaskmas_nb.llm.protocol import Backend
from dyntaskmas_nb.llm.trial import Figures, Mark, measure, trial
from dyntaskmas_nb.llm.trial_checks import CHECKS
from dyntaskmas_nb.view.words import printable

#: Where local servers usually listen: name, port, how to start one there.
SERVERS = (
    ("llama.cpp", 8080, "llama-server -m MODEL.gguf"),
    (
        "vLLM, trtllm-serve",
        8000,
        "vllm serve MODEL, or in an environment of its own (environment-trt.yml) trtllm-serve MODEL; "
        "curl -f http://127.0.0.1:8000/health succeeds once it is ready",
    ),
    ("Ollama", 11434, "ollama serve"),
)
EXTRAS = {
    "lab": ("jupyterlab", "notebooks in JupyterLab"),
    "semantic": ("sentence_transformers", "semantic instead of lexical context vectors"),
    "llama": ("transformers", "Hugging Face Llama checkpoints"),
    "openai": ("openai", "OpenAI-compatible servers"),
    "gpu": ("pynvml", "GPU figures"),
    "trt": ("tensorrt_llm", "TensorRT-LLM in this process (Linux, NVIDIA GPU, Python 3.12)"),
}


def doctor(options: argparse.Namespace) -> int:
    """Print a line for each thing looked at; return 0 when the kit can run, else 1.

    With `--try` the model that it names is tried out instead, by asking it a few things.
    """
    if options.model is not None:
        return 0 if anyio.run(_try, connect(options.model)) else 1
    sound = True
    for mark, what, advice in (*_core(), *_extras(), *_gpu(), *_servers()):
        sound = sound and mark != "✗"
        print(f"{mark} {what}" + (f"\n    → {advice}" if advice else ""))
    return 0 if sound else 1


async def _try(backend: Backend) -> bool:
    """Whether `backend` passed every check that it must pass."""
    good = True
    try:
        async for verdict in trial(backend):
            good = good and not verdict.bad
            optional = verdict.mark is Mark.FAILED and not verdict.bad
            may = " (the kit can do without)" if optional else ""
            said = printable(verdict.said, 400)
            print(
                f"{verdict.mark.value} {verdict.check.name}{may}: {said} [{verdict.seconds:.2f} s]",
                flush=True,
            )
            if verdict.bad and verdict.check is CHECKS[0]:
                return False
        for line in _figures(backend.name, await measure(backend)):
            print(line)
    except BackendError as error:
        print(f"✗ figures: {printable(error, 400)}")
        return False
    finally:
        with anyio.move_on_after(5, shield=True):
            await backend.aclose()
    return good


def _figures(name: str, found: Figures) -> Iterator[str]:
    yield f"{printable(name)}: window {found.window} tokens"
    yield f"hints used: {', '.join(found.used) or 'none'}; ignored: {', '.join(found.ignored) or 'none'}"
    yield f"a repeated prompt: {found.cached_tokens} of {found.prompt_tokens} tokens were cached"
    yield f"first token after {found.first_token:.3f} s, then {found.tokens_per_second:.1f} tokens/s"


def _core() -> Iterator[tuple[str, str, str]]:
    yield "✓", f"Python {sys.version.split()[0]}", ""
    for name in ("chromadb", "pyvis", "ipywidgets", "llguidance", "trio"):
        try:
            yield "✓", f"{name} {version(name)}", ""
        except PackageNotFoundError:
            yield "✗", f"{name} is missing", "pip install dyntaskmas_nb"
    yield _weights()
    home = Path(HOME)
    where = home if home.exists() else home.absolute().parent
    if os.access(where, os.W_OK):
        yield "✓", f"{where} is writable", ""
    else:
        yield "✗", f"{where} is not writable", "choose another directory with --home"


def _weights() -> tuple[str, str, str]:
    try:
        backend = connect("embedded")
        tokens = backend.count_tokens("Plan a 3-day trip to Kyoto")
    except DynTaskError as error:
        return "✗", f"embedded Llama: {error}", "reinstall dyntaskmas_nb, or use --model with a server"
    caps = backend.caps
    window = f"window {caps.context_window} tokens ({tokens} in a try)"
    return "✓", f"embedded Llama: {', '.join(caps.domains)}; {window}", ""


def _extras() -> Iterator[tuple[str, str, str]]:
    for extra, (module, purpose) in EXTRAS.items():
        if find_spec(module):
            yield "✓", f"[{extra}] {purpose}", ""
        else:
            yield "–", f"[{extra}] not installed: {purpose}", f"pip install 'dyntaskmas_nb[{extra}]'"


def _gpu() -> Iterator[tuple[str, str, str]]:
    if not find_spec("pynvml"):
        yield "–", "GPUs were not looked for", "pip install 'dyntaskmas_nb[gpu]' to see them; none is needed"
        return
    import pynvml

    try:
        pynvml.nvmlInit()
        for index in range(pynvml.nvmlDeviceGetCount()):
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
            yield "✓", f"GPU {index}: {pynvml.nvmlDeviceGetName(handle)}, {memory.total / 2**30:.0f} GiB", ""
    except pynvml.NVMLError as error:
        yield "–", f"no NVIDIA GPU to be read ({error})", "the embedded Llama and remote servers need none"


def _servers() -> Iterator[tuple[str, str, str]]:
    for name, port, start in SERVERS:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=0.3):
                url = f"http://127.0.0.1:{port}/v1"
                what = f"something listens on port {port} ({name}?)"
                yield "✓", what, f"dyntaskmas doctor --try {url}, then use it with --model {url}"
        except OSError:
            advice = f"to have one there: {start}"
            yield "–", f"nothing listens on port {port} ({name})", advice
