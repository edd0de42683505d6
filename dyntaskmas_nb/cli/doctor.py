"""``dyntaskmas doctor``: what is here, what is not, and what to do about it."""

from __future__ import annotations

import argparse
import os
import socket
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from dyntaskmas_nb.errors import DynTaskError
from dyntaskmas_nb.kit.kit import HOME
from dyntaskmas_nb.llm.connect import connect

#: Where local servers usually listen: (name, port).
SERVERS = (("llama.cpp", 8080), ("vLLM / trtllm-serve", 8000), ("Ollama", 11434))
EXTRAS = {
    "lab": ("jupyterlab", "notebooks in JupyterLab"),
    "semantic": ("sentence_transformers", "semantic instead of lexical context vectors"),
    "llama": ("transformers", "Hugging Face Llama checkpoints"),
    "openai": ("openai", "OpenAI-compatible servers"),
    "gpu": ("pynvml", "GPU figures"),
    "trt": ("tensorrt_llm", "TensorRT-LLM in this process (Linux, NVIDIA GPU, Python 3.12)"),
}


def doctor(options: argparse.Namespace) -> int:
    """Print a line for each thing looked at; return 0 when the kit can run, else 1."""
    sound = True
    for mark, what, advice in (*_core(), *_extras(), *_gpu(), *_servers()):
        sound = sound and mark != "✗"
        print(f"{mark} {what}" + (f"\n    → {advice}" if advice else ""))
    return 0 if sound else 1


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
    for name, port in SERVERS:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=0.3):
                model = f"--model http://127.0.0.1:{port}/v1"
                yield "✓", f"something listens on port {port} ({name}?)", model
        except OSError:
            advice = f"start {name} there to use it with --model"
            yield "–", f"nothing listens on port {port} ({name})", advice
