"""Steps recorded as CUDA graphs: one launch instead of hundreds."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable
from typing import Any

import torch

LOG = logging.getLogger(__name__)

Body = Callable[[], None]
"""Work that reads and writes fixed tensors only, and may be done twice."""

Record = Callable[[Body], Body]
"""From work to what repeats it."""


class Graphs:
    """Runs bodies, each recorded under its key when it is first run; without `record`, just runs them."""

    def __init__(self, record: Record | None) -> None:
        self._record = record
        self._recorded: dict[Hashable, Body] = {}

    def run(self, key: Hashable | None, body: Body) -> None:
        """Do `body`, or what was recorded under its key; None is no key."""
        if self._record is None or key is None:
            body()
            return
        if replay := self._recorded.get(key):
            replay()
            return
        body()  # the work itself; it also sets up what must not happen during a recording
        try:
            self._recorded[key] = self._record(body)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # noqa: BLE001  slower, not broken
            LOG.warning("Recording a CUDA graph failed; steps are launched kernel by kernel: %r", error)
            self._record = None
            self.clear()

    def clear(self) -> None:
        """Forget everything recorded: the tensors it used are about to move."""
        self._recorded.clear()


def cuda_recorder() -> Record:
    """Recorder of CUDA graphs, each with its own memory: a shared pool ends with the last one cleared."""

    def record(body: Body) -> Body:
        graph: Any = torch.cuda.CUDAGraph()
        # thread_local: other threads of the process may use the GPU meanwhile.
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            body()
        replay: Body = graph.replay
        return replay

    return record
