"""Train the teaching Llama from one seed: `python -m tools.teaching_llama.train --seed 7 --out build/llama`.

Two worker processes, one thread each, average their gradients after every batch (on a shared machine this
loses less to waiting than two threads in every operation). Matrices are trained by Muon (Jordan 2024), the
embedding and the norms by AdamW; the rate warms up, stays, and falls linearly to zero. The run writes
`checkpoint.pt`, `tokenizer.json` and `log.jsonl`; `export` turns them into the shipped files.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import time
from pathlib import Path

import torch
import torch.distributed as dist
from tokenizers import Tokenizer
from torch.nn import functional

from tools.teaching_llama.mixture import batches
from tools.teaching_llama.model import Llama, Shape
from tools.teaching_llama.tokenizer import train_tokenizer


def rate(step: int, steps: int, hold: float, warm: int = 60) -> float:
    """Share of the peak learning rate at `step`."""
    if step < warm:
        return (step + 1) / warm
    return 1.0 if step < steps * hold else (steps - step) / (steps * (1 - hold))


def copying(step: int) -> float:
    """Share of pure copying: a quarter at first, 2 % from step 190 on."""
    return 0.25 if step < 50 else max(0.02, 0.25 - (step - 50) / 600)


def optimisers(model: Llama, args: argparse.Namespace) -> list[torch.optim.Optimizer]:
    """Return Muon for the matrices and AdamW for the embedding and the norms."""
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
    others = [p for n, p in model.named_parameters() if p.ndim != 2 or "embed" in n]
    return [
        torch.optim.Muon(matrices, lr=args.muon, weight_decay=0.01, momentum=0.95),
        torch.optim.AdamW(others, lr=args.adam, betas=(0.9, 0.95), weight_decay=0.0),
    ]


def gradients(model: Llama, ids: torch.Tensor, weight: torch.Tensor, workers: int) -> float:
    """Leave the clipped gradient of the answers' loss, averaged over the workers, in the model; return the loss."""
    target, weight = ids[:, 1:], weight[:, 1:]
    answer = weight > 0
    with torch.autocast("cpu", torch.bfloat16):
        logits = model.logits(model.hidden(ids[:, :-1])[answer])
    each = functional.cross_entropy(logits.float(), target[answer], reduction="none")
    loss = (each * weight[answer]).sum() / weight.sum()
    loss.backward()
    parameters = list(model.parameters())
    flat = torch.cat([p.grad.flatten() for p in parameters])
    if workers > 1:
        dist.all_reduce(flat)
        flat /= workers
    flat *= min(1.0, 1.0 / (float(flat.norm()) + 1e-6))
    for p, part in zip(parameters, flat.split([p.numel() for p in parameters]), strict=True):
        p.grad.copy_(part.view_as(p))
    return float(each.mean().detach())


def train(rank: int, args: argparse.Namespace) -> None:
    """Run one worker."""
    torch.set_num_threads(1)
    if args.workers > 1:
        os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(args.port))
        dist.init_process_group("gloo", rank=rank, world_size=args.workers)
    torch.manual_seed(args.seed)
    tokenizer = Tokenizer.from_file(str(args.out / "tokenizer.json"))
    model = Llama(Shape(vocab=tokenizer.get_vocab_size()))
    if args.start:
        model.load_state_dict(torch.load(args.start / "checkpoint.pt")["model"])
    parts = optimisers(model, args)
    peaks = [part.param_groups[0]["lr"] for part in parts]
    step, seen, begin, losses = 0, 0, time.time(), []
    data = batches(
        tokenizer,
        args.seed * 1000 + rank,
        args.tokens,
        lambda: 0.03 if args.start else copying(step),
        model.s.positions,
    )
    for step in range(args.steps):
        ids, weight = map(torch.from_numpy, next(data))
        losses.append(gradients(model, ids, weight, args.workers))
        for part, peak in zip(parts, peaks, strict=True):
            part.param_groups[0]["lr"] = peak * rate(step, args.steps, args.hold)
            part.step()
            part.zero_grad()
        seen += int((ids != 0).sum()) * args.workers
        if rank == 0 and (step % 20 == 19 or step + 1 == args.steps):
            row = {
                "step": step + 1,
                "loss": sum(losses) / len(losses),
                "tokens": seen,
                "seconds": time.time() - begin,
            }
            save(args.out, model, row, weights=step % 100 == 99 or step + 1 == args.steps)
            losses = []
    if args.workers > 1:
        dist.destroy_process_group()


def save(out: Path, model: Llama, row: dict[str, float], weights: bool) -> None:
    """Write a line of the log and, now and then, the weights."""
    with (out / "log.jsonl").open("a") as log:
        log.write(json.dumps({k: round(v, 4) for k, v in row.items()}) + "\n")
    if weights:
        torch.save({"model": model.state_dict(), **row}, out / "checkpoint.tmp")
        (out / "checkpoint.tmp").replace(out / "checkpoint.pt")


def main() -> None:
    """Train the tokenizer, then the model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--tokens", type=int, default=4500, help="tokens in one worker's batch")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--vocab", type=int, default=2304)
    parser.add_argument(
        "--start", type=Path, help="folder of an earlier run to go on from, with less copying"
    )
    parser.add_argument("--hold", type=float, default=0.5, help="share of the run at the peak rate")
    parser.add_argument("--muon", type=float, default=0.02)
    parser.add_argument("--adam", type=float, default=0.004)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    if args.start:
        shutil.copy(args.start / "tokenizer.json", args.out / "tokenizer.json")
    else:
        train_tokenizer(args.seed, args.vocab).save(str(args.out / "tokenizer.json"))
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        args.port = s.getsockname()[1]
    if args.workers == 1:
        train(0, args)
    else:
        torch.multiprocessing.spawn(train, args=(args,), nprocs=args.workers)


if __name__ == "__main__":
    main()
