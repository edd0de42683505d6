"""What the tests of the panel stand on: a plan, what a browser remembers, a publisher out of time."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from dyntaskmas_nb.ui.bridge import Message, Publisher

EVIL = "<img src=x onerror=alert(1)>"
PLAN = {
    "task": "A trip",
    "subtasks": [
        {"id": "a"},
        {"id": "b", "complexity": 2, "depends_on": ["a"]},
        {"id": "c"},
        {"id": "d", "depends_on": ["b", "c"]},
    ],
}


def work(task: Any, context: Any) -> Any:
    """An agent."""
    return {"id": task.id, "attempt": context.attempt}


def ask(command: Any, base: Any = None, mode: Any = "", /, **args: Any) -> dict[str, Any]:
    """A command as a browser sends it."""
    return {"id": "7", "command": command, "args": args, "base": base, "mode": mode}


def strict(message: object) -> Any:
    """`message` as it comes out of a wire that takes JSON and nothing else."""
    return json.loads(json.dumps(message, allow_nan=False))


class Mirror:
    """What a browser knows of a run: `apply` of widgets/src/store.js, row for row."""

    WHOLE = ("status", "t", "version", "total", "agents", "settings", "forecast", "figures", "proposals")
    MORE = ("samples", "failures", "calls")

    def __init__(self) -> None:
        self.seq = -1
        self.forget()

    def forget(self) -> None:
        self.rows: dict[str, Any] = {}
        self.attempts: dict[str, Any] = {}
        self.known: dict[str, Any] = {name: [] for name in self.MORE}

    def apply(self, news: Message) -> bool:
        """Take a message in; False where one before it is missing."""
        news = strict(news)
        if news.get("full"):
            self.forget()
        elif news.get("seq", self.seq + 1) != self.seq + 1:
            return False
        self.seq = news.get("seq", self.seq + 1)
        self.known |= {name: news[name] for name in self.WHOLE if name in news}
        for name in self.MORE:
            self.known[name] += news.get(name, [])
        for id in news["removals"]:
            self.rows.pop(id, None)
        self.rows |= {row["id"]: row for row in news["upserts"]}
        self.attempts |= {f"{one['task']}#{one['attempt']}": one for one in news["attempts"]}
        return True


class Bench:
    """A publisher whose waiting and time are the test's."""

    def __init__(self, run: Any, send: Callable[[Message], None] | None = None, **more: Any) -> None:
        self.sent: list[Message] = []
        self.errors: list[Exception] = []
        self.due: list[tuple[float, Callable[[], None]]] = []
        self.time = 100.0
        self.publisher = Publisher(
            run, send or self.sent.append, self.errors.append, self._later, lambda: self.time, **more
        )

    def _later(self, delay: float, then: Callable[[], None]) -> Callable[[], None]:
        one = self.time + delay, then
        self.due.append(one)
        return lambda: one in self.due and self.due.remove(one)  # type: ignore[func-returns-value]

    def fire(self) -> float:
        """Let time pass to what is due next and do it; how long it had to wait."""
        self.due.sort(key=lambda one: one[0])
        when, then = self.due.pop(0)
        waited, self.time = when - self.time, max(when, self.time)
        then()
        return round(waited, 9)

    def settle(self, most: int = 20) -> int:
        """Fire until nothing is due any more; how often that was."""
        for times in range(most):
            if not self.due:
                return times
            self.fire()
        raise AssertionError(f"something is always due: {self.due}")
