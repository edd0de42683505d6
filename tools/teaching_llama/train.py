"""Train the teaching Llama from one seed: `python -m tools.teaching_llama.train --seed 7 --out build/llama`.

One model on a CPU or, with `--device cuda`, on a GPU; `--workers` processes draw its data. Matrices are trained
by Muon (Jordan 2024), the embedding and the norms by AdamW; the rate warms up, stays, and falls linearly to
zero, over `--steps` or, where given, over `--seconds` of wall-clock time, so that a run on a lent machine ends
in its time. The run writes `checkpoint.pt`, `tokenizer.json` and `log.jsonl`; `export` turns them into the
shipped files.

The seed gives the first weights and every batch, in order. Not reproducible bit by bit: with `--seconds` the
rate follows the clock, and a GPU adds gradients up in any order.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils import clip_grad_norm_

from tools.teaching_llama.feed import feed
from tools.teaching_llama.mixture import Batch
from tools.teaching_llama.model import Llama, Shape
from tools.teaching_llama.tokenizer import train_tokenizer

WARM = 60
"""Steps in which the rate rises."""


def rate(step: int, done: float, hold: float) -> float:
    """Share of the peak learning rate at `step`, when the share `done` of the run is over."""
    return min(1.0, (step + 1) / WARM, (1 - done) / (1 - hold) if hold < 1 else 1.0)


def optimisers(model: Llama, args: argparse.Namespace) -> list[torch.optim.Optimizer]:
    """Return Muon for the matrices and AdamW for the embedding and the norms."""
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
    others = [p for n, p in model.named_parameters() if p.ndim != 2 or "embed" in n]
    return [
        torch.optim.Muon(matrices, lr=args.muon, weight_decay=args.decay, momentum=0.95),
        torch.optim.AdamW(others, lr=args.adam, betas=(0.9, 0.95), weight_decay=0.0),
    ]


def losses(model: Llama, batch: Batch, device: str) -> tuple[Tensor, Tensor]:
    """Return the answers' weighted loss, and the plain mean of it without a gradient."""
    ids, at, weight = (torch.from_numpy(x).to(device, non_blocking=True) for x in batch)
    ids = ids.long()
    with torch.autocast(device, torch.bfloat16):
        hidden = model.hidden(ids[:, :-1]).flatten(0, 1)
        logits = model.logits(hidden.index_select(0, at))
    target = ids[:, 1:].flatten().index_select(0, at)
    each = functional.cross_entropy(logits.float(), target, reduction="none")
    return (each * weight).sum() / weight.sum(), each.detach().mean()


def train(args: argparse.Namespace) -> None:
    """Run the training; the clock starts with the first batch."""
    torch.manual_seed(args.seed)
    model = build(args).to(args.device)
    parts = optimisers(model, args)
    peaks = [part.param_groups[0]["lr"] for part in parts]
    data = feed(args.out, args.seed, args.workers, args.tokens, model.s.positions, bool(args.start))
    batch, begin, step, seen, recent = next(data), time.monotonic(), 0, 0, []
    while (done := progress(args, step, begin)) < 1:
        loss, mean = losses(model, batch, args.device)
        loss.backward()
        clip_grad_norm_(model.parameters(), 1.0)
        for part, peak in zip(parts, peaks, strict=True):
            part.param_groups[0]["lr"] = peak * rate(step, done, args.hold)
            part.step()
            part.zero_grad()
        recent.append(mean)
        seen += int((batch.ids != 0).sum())
        step += 1
        if step % args.log == 0:
            report(args, model, step, seen, begin, recent, weights=step % (25 * args.log) == 0)
        batch = next(data)
    report(args, model, step, seen, begin, recent, weights=True)


def progress(args: argparse.Namespace, step: int, begin: float) -> float:
    """Return the share of the run that is over, by the clock or by steps."""
    return (time.monotonic() - begin) / args.seconds if args.seconds else step / args.steps


def build(args: argparse.Namespace) -> Llama:
    """Return the model of these sizes, or the earlier run's."""
    if args.start:
        earlier = torch.load(args.start / "checkpoint.pt", map_location="cpu")
        model = Llama(Shape(**earlier["shape"]), args.dropout)
        model.load_state_dict(earlier["model"])  # of any precision: it is copied into float32
        return model
    heads = args.hidden // 32
    sizes = {"hidden": args.hidden, "inner": args.hidden * 11 // 4, "heads": heads, "kv_heads": heads // 2}
    return Llama(Shape(vocab=args.vocab, layers=args.layers, **sizes), args.dropout)


def report(
    args: argparse.Namespace,
    model: Llama,
    step: int,
    seen: int,
    begin: float,
    recent: list[Tensor],
    weights: bool,
) -> None:
    """Write a line of the log and, now and then, the weights; empty `recent`."""
    row = {"step": step, "tokens": seen, "seconds": round(time.monotonic() - begin, 2)}
    if recent:
        row["loss"] = round(float(torch.stack(recent).mean()), 4)
    recent.clear()
    line = json.dumps(row)
    print(line, flush=True)
    with (args.out / "log.jsonl").open("a") as log:
        log.write(line + "\n")
    if weights:
        state = {name: p.cpu() for name, p in model.state_dict().items()}
        torch.save({"model": state, "shape": asdict(model.s), **row}, args.out / "checkpoint.tmp")
        (args.out / "checkpoint.tmp").replace(args.out / "checkpoint.pt")


def main() -> None:
    """Train the tokenizer, then the model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--steps", type=int, default=3500)
    parser.add_argument("--seconds", type=float, help="run so long instead of a number of steps")
    parser.add_argument("--tokens", type=int, default=9000, help="tokens in a batch, with its padding")
    parser.add_argument("--workers", type=int, default=1, help="processes that draw data; 0: this one does")
    parser.add_argument("--threads", type=int, help="CPU threads of the training itself")
    parser.add_argument("--vocab", type=int, default=3072)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--hidden", type=int, default=320, help="width, a multiple of 64")
    parser.add_argument("--start", type=Path, help="folder of an earlier run to go on from")
    parser.add_argument("--hold", type=float, default=0.5, help="share of the run at the peak rate")
    parser.add_argument("--muon", type=float, default=0.02)
    parser.add_argument("--adam", type=float, default=0.004)
    parser.add_argument("--decay", type=float, default=0.04, help="weight decay of the matrices")
    parser.add_argument(
        "--dropout", type=float, default=0.1, help="share of each residual branch that is dropped"
    )
    parser.add_argument("--log", type=int, default=20, help="steps between two lines of the log")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    if args.threads:
        torch.set_num_threads(args.threads)
    if args.start:
        shutil.copy(args.start / "tokenizer.json", args.out / "tokenizer.json")
    else:
        tokenizer = train_tokenizer(args.seed, args.vocab)
        tokenizer.save(str(args.out / "tokenizer.json"))
        args.vocab = tokenizer.get_vocab_size()
    train(args)


if __name__ == "__main__":
    main()
