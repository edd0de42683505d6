"""How attempts failed in this process, for people; not in the log, which is the same wherever it is made."""

from __future__ import annotations

from traceback import format_exception

from dyntaskmas_nb.core.task import TaskId

#: Characters kept of an agent's error.
MAX_ERROR = 2_000
#: Tracebacks kept, the latest, and characters of each, the last.
KEPT, TEXT = 100, 8_000


class Raised:
    """The traceback of each task's latest failure."""

    def __init__(self) -> None:
        self._texts: dict[TaskId, str] = {}

    def keep(self, id: TaskId, error: BaseException) -> None:
        """Remember how task `id` failed: by what its own code raised, where that is known."""
        self._texts.pop(id, None)
        self._texts[id] = "".join(format_exception(error.__cause__ or error))[-TEXT:]
        if len(self._texts) > KEPT:
            del self._texts[next(iter(self._texts))]

    def of(self, id: TaskId) -> str:
        """The traceback, "" where the task has not failed in this process."""
        return self._texts.get(id, "")


def said_of(error: Exception) -> str:
    """An error's text as it can be journaled and shown: valid UTF-8, of bounded length."""
    return str(error).encode("utf-8", "replace").decode()[:MAX_ERROR]
