from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from dyntaskmas_nb.errors import BadWeights, InvalidInput, MissingExtra
from dyntaskmas_nb.llm.connect import connect
from dyntaskmas_nb.llm.embedded.engine import EmbeddedLlama
from dyntaskmas_nb.llm.gpus import on_gpus
from dyntaskmas_nb.llm.hugging.engine import TransformersLlama
from dyntaskmas_nb.llm.openai_compatible import OpenAICompatible
from dyntaskmas_nb.llm.pool import Pool
from dyntaskmas_nb.llm.simulated import Simulated
from tests.llm.test_simulated import ask, seconds


@pytest.mark.parametrize("model", [None, "embedded"])
def test_the_embedded_model_is_the_default(model: str | None) -> None:
    backend = connect(model)
    assert isinstance(backend, EmbeddedLlama)
    assert backend.name == "embedded"


def test_an_address_with_and_without_a_model() -> None:
    pytest.importorskip("openai", reason="needs dyntaskmas_nb[openai]")
    plain, named = connect("http://127.0.0.1:1/v1"), connect("https://127.0.0.1:1/v1#llama/3:8b")
    assert isinstance(plain, OpenAICompatible)
    assert isinstance(named, OpenAICompatible)
    assert plain.name == "model at http://127.0.0.1:1/v1"
    assert named.name == "llama/3:8b at https://127.0.0.1:1/v1"


def test_an_address_without_the_openai_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(MissingExtra, match=r"pip install 'dyntaskmas_nb\[openai\]'"):
        connect("http://127.0.0.1:1/v1")


def test_a_folder_is_read_only_when_used(tmp_path: Path) -> None:
    for given in (tmp_path, str(tmp_path)):
        backend = connect(given)
        assert backend.name == f"embedded:{tmp_path.name}"
    with pytest.raises(BadWeights, match=r"config\.json is missing"):
        _ = backend.caps


def test_a_backend_is_itself() -> None:
    backend = Simulated()
    assert connect(backend) is backend


@pytest.mark.parametrize(
    "model", ["gpt", "", "ftp://x", "simulatedly", "/no/such/folder", Path("/no/such"), 7, Simulated]
)
def test_anything_else_is_refused_with_the_choices(model: object) -> None:
    with pytest.raises(InvalidInput, match="Choose"):
        connect(model)  # type: ignore[arg-type]


def test_simulated_with_and_without_a_latency() -> None:
    assert seconds(connect("simulated"), ask(cost=3.0)) == [3.0]  # type: ignore[arg-type]
    assert seconds(connect("simulated:constant:0.5"), ask()) == [0.5]  # type: ignore[arg-type]


def test_a_checkpoint_with_a_template_of_its_own_runs_on_torch(tmp_path: Path, tiny_folder: Path) -> None:
    pytest.importorskip("torch", reason="needs dyntaskmas_nb[llama]")
    assert isinstance(connect(tiny_folder), EmbeddedLlama)
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    (tmp_path / "tokenizer.json").write_text('{"added_tokens": [{"content": "<|begin_of_text|>"}]}')
    foreign, named = connect(tmp_path), connect("hf:meta-llama/Llama-3.1-8B-Instruct")
    assert isinstance(foreign, TransformersLlama)
    assert (foreign.name, named.name) == (f"hf:{tmp_path.name}", "hf:Llama-3.1-8B-Instruct")


def test_tensorrt_by_its_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt_llm", None)
    with pytest.raises(MissingExtra, match="trtllm-serve"):
        connect("trt:meta-llama/Llama-3.1-8B-Instruct")


def torch_with(gpus: int) -> ModuleType:
    """A border of torch that only counts GPUs."""
    torch = ModuleType("torch")
    torch.cuda = SimpleNamespace(device_count=lambda: gpus, is_available=lambda: gpus > 0)  # type: ignore[attr-defined]
    return torch


@pytest.mark.parametrize("gpus", [0, 1, 2, 4])
def test_every_gpu_gets_an_engine(
    gpus: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "torch", torch_with(gpus))
    backend = on_gpus("some/llama", max_batch=8)
    if gpus < 2:
        assert isinstance(backend, TransformersLlama)
    else:
        assert isinstance(backend, Pool)
        assert [one._device for one in backend._members] == [f"cuda:{n}" for n in range(gpus)]
        assert {one._max_batch for one in backend._members} == {8}
        assert backend.name == f"{gpus} × hf:llama"
    assert ("no CUDA GPU" in caplog.text) == (gpus == 0)


def test_without_torch_it_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtra, match=r"dyntaskmas-nb\[llama\]"):
        connect("hf:some/llama")


@pytest.mark.parametrize("url", ["http://", "http:///v1", "http://localhost:abc/v1", "http://[::1/v1"])
def test_half_an_address_is_refused(url: str) -> None:
    pytest.importorskip("openai", reason="needs dyntaskmas_nb[openai]")
    with pytest.raises(InvalidInput, match="is no http address"):
        connect(url)
