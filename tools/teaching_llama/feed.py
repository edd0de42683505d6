"""Batches for training, drawn by worker processes.

Each worker draws from a seed of its own, and the batches are taken from the workers in turn: the same seed and
number of workers give the same batches in the same order, however fast each worker is.
"""

from __future__ import annotations

import multiprocessing
import queue
from collections.abc import Iterator
from pathlib import Path

from tokenizers import Tokenizer

from tools.teaching_llama.mixture import Batch, batches

AHEAD = 6
"""Batches a worker may be ahead of the training."""

PATIENCE = 180.0
"""Seconds that the training waits for a batch; the first one takes longest."""


def copying(step: int) -> float:
    """Share of pure copying: a quarter at first, 2 % from step 190 on."""
    return 0.25 if step < 50 else max(0.02, 0.25 - (step - 50) / 600)


def draw_batches(
    folder: Path, seed: int, tokens: int, limit: int, rank: int = 0, workers: int = 1, late: bool = False
) -> Iterator[Batch]:
    """Yield the batches of worker `rank`: every `workers`-th of the training.

    `late` is training that goes on from an earlier run, where copying has faded.
    """
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    return batches(
        tokenizer,
        seed * 1000 + rank,
        tokens,
        lambda done: 0.03 if late else copying(done * workers + rank),
        limit,
    )


def _work(out: multiprocessing.Queue[Batch], *args: object) -> None:
    for batch in draw_batches(*args):  # type: ignore[arg-type]
        out.put(batch)


def feed(
    folder: Path, seed: int, workers: int, tokens: int, limit: int, late: bool = False
) -> Iterator[Batch]:
    """Yield batches for ever, from `workers` processes, or from this one where that is 0.

    Raises
    ------
    RuntimeError
        A worker gave no batch in time: it has died, and its error stands above.
    """
    if not workers:
        yield from draw_batches(folder, seed, tokens, limit, late=late)
    context = multiprocessing.get_context("spawn")
    queues = [context.Queue(AHEAD) for _ in range(workers)]
    for rank, out in enumerate(queues):
        args = (out, folder, seed, tokens, limit, rank, workers, late)
        context.Process(target=_work, args=args, daemon=True).start()
    while True:
        for rank, out in enumerate(queues):
            try:
                yield out.get(timeout=PATIENCE)
            except queue.Empty:
                raise RuntimeError(f"Data worker {rank} gave no batch in {PATIENCE:.0f} s.") from None
