"""Training of the teaching Llama: its batches, its rate, and a run of a few steps that can be exported."""

from __future__ import annotations

import json
from argparse import Namespace
from dataclasses import asdict
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

import dyntaskmas_nb.llm.embedded
from dyntaskmas_nb.llm.embedded.checkpoint import read_config, read_weights

torch = pytest.importorskip("torch", reason="training needs PyTorch: pip install the CPU build")

from tools.teaching_llama import feed as source  # noqa: E402
from tools.teaching_llama.export import export, load  # noqa: E402
from tools.teaching_llama.mixture import Row, grouped, stacked  # noqa: E402
from tools.teaching_llama.model import Llama, Shape  # noqa: E402
from tools.teaching_llama.train import WARM, build, rate, train  # noqa: E402

SHIPPED = Path(dyntaskmas_nb.llm.embedded.__file__).parent / "weights"


def rows(*lengths: int) -> list[Row]:
    return [([n] * n, [0.0] * (n // 2) + [2.0] * (n - n // 2)) for n in lengths]


def test_groups_hold_every_row_and_keep_their_size_with_the_padding() -> None:
    pool = rows(*range(3, 90), 200, 7, 7)
    groups = grouped(pool, 400)
    assert sorted(len(ids) for g in groups for ids, _ in g) == sorted(len(ids) for ids, _ in pool)
    assert all(stacked(g).ids.size <= 400 for g in groups)
    assert len(groups) < 20


def test_a_batch_points_at_the_tokens_before_the_answers() -> None:
    batch = stacked(rows(6, 20))
    assert batch.ids.shape == (2, 32)
    target = batch.ids[:, 1:].ravel()[batch.at]
    assert target.tolist() == [6] * 3 + [20] * 10
    assert batch.weight.tolist() == [2.0] * 13


def test_the_rate_rises_stays_and_ends_at_zero() -> None:
    assert rate(0, 0.0, 0.5) == 1 / WARM
    assert rate(WARM, 0.4, 0.5) == 1.0
    assert rate(WARM, 0.75, 0.5) == 0.5
    assert rate(WARM, 1.0, 0.5) == 0.0
    assert rate(WARM, 1.0, 1.0) == 1.0


def test_copying_fades() -> None:
    assert [source.copying(n) for n in (0, 49, 10_000)] == [0.25, 0.25, 0.02]


def test_workers_give_their_batches_in_turn() -> None:
    ours = list(islice(source.feed(SHIPPED, 5, 2, 2000, 1024), 4))
    assert not np.array_equal(ours[0].ids, ours[1].ids)
    for rank in (0, 1):
        alone = islice(source.draw_batches(SHIPPED, 5, 2000, 1024, rank, 2), 2)
        for mine, his in zip(ours[rank::2], alone, strict=True):
            assert all(np.array_equal(x, y) for x, y in zip(mine, his, strict=True))


def test_a_worker_that_died_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(source, "PATIENCE", 0.0)
    with pytest.raises(RuntimeError, match="worker 0 gave no batch"):
        next(source.feed(tmp_path, 5, 1, 2000, 1024))


def test_a_few_steps_write_a_model_that_the_engine_reads(tmp_path: Path) -> None:
    text = (SHIPPED / "tokenizer.json").read_text()
    (tmp_path / "tokenizer.json").write_text(text)
    vocab = len(json.loads(text)["model"]["vocab"])
    args = Namespace(
        seed=1, out=tmp_path, device="cpu", steps=3, seconds=None, tokens=1500, workers=0, vocab=vocab,
        layers=1, hidden=64, start=None, hold=0.5, muon=0.02, adam=0.004, decay=0.04, dropout=0.1, log=2,
    )  # fmt: skip
    train(args)
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in log] == [2, 3]
    assert log[-1]["loss"] < np.log(vocab) + 0.5
    export(tmp_path, tmp_path / "weights")
    config = read_config(tmp_path / "weights")
    assert (config.num_hidden_layers, config.hidden_size) == (1, 64)
    assert read_weights(tmp_path / "weights", config).embedding.shape == (vocab, 64)
    model, _ = load(tmp_path / "weights")
    assert model.s.heads == 2


def test_only_training_drops_parts_of_the_branches() -> None:
    torch.manual_seed(0)
    shape, ids = Shape(vocab=64, hidden=64, layers=2, heads=2, kv_heads=1, inner=64), torch.arange(12)[None]
    model = Llama(shape, dropout=0.5)
    assert not torch.equal(model.hidden(ids), model.hidden(ids))
    assert torch.equal(model.eval().hidden(ids), model.hidden(ids))
    plain = Llama(shape)
    plain.load_state_dict(model.state_dict())
    assert torch.equal(plain.hidden(ids), model.hidden(ids))


def test_training_goes_on_from_an_earlier_run_of_half_the_precision(tmp_path: Path) -> None:
    shape = Shape(vocab=64, hidden=64, layers=1, heads=2, kv_heads=1, inner=64)
    state = {name: p.half() for name, p in Llama(shape).state_dict().items()}
    torch.save({"model": state, "shape": asdict(shape), "step": 9}, tmp_path / "checkpoint.pt")
    model = build(Namespace(start=tmp_path, dropout=0.1))
    for name, p in model.state_dict().items():
        assert p.dtype is torch.float32
        assert torch.equal(p, state[name].float())
    assert model.model.layers[0].dropout == 0.1
