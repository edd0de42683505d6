from __future__ import annotations

import sys
from pathlib import Path

import pytest

from dyntaskmas_nb.errors import BadWeights, InvalidInput, MissingExtra
from dyntaskmas_nb.llm.connect import connect
from dyntaskmas_nb.llm.embedded.engine import EmbeddedLlama
from dyntaskmas_nb.llm.openai_compatible import OpenAICompatible
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
