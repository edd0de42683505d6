"""Things done one after another, apart from whoever asks for them."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from threading import Lock, Thread

log = logging.getLogger(__name__)

#: Things that may wait for their turn.
WAITING = 100


class Lane:
    """Does things in the order in which they come, on a thread that lives while there are any.

    One that fails is logged, and the next one has its turn.
    """

    def __init__(self, name: str, do: Callable[[object], None]) -> None:
        self._name, self._do = f"dyntaskmas {name}", do
        self._waiting: deque[object] = deque()
        self._working = False
        self._lock = Lock()

    def put(self, thing: object) -> bool:
        """Take note; False where `WAITING` wait already."""
        with self._lock:
            if len(self._waiting) >= WAITING:
                return False
            self._waiting.append(thing)
            start, self._working = not self._working, True
        if start:
            Thread(target=self._work, name=self._name, daemon=True).start()
        return True

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._working = False
                    return
                thing = self._waiting.popleft()
            try:
                self._do(thing)
            except Exception:
                log.exception("%s: something failed", self._name)
