"""Every error the kit raises, in one tree.

Each message says what went wrong, where, and what to do about it, in one sentence or two. An expected
refusal of a running graph is not an error but data (`core.event.DeltaRejected`).
"""

from __future__ import annotations


class DynTaskError(Exception):
    """Base of all errors of this package; catch it to catch them all."""


class InvalidInput(DynTaskError, ValueError):
    """A plan, argument or file that does not say what it must. The message names the field."""


class VersionConflict(InvalidInput):
    """A context node has another version than the writer expected; nothing was written."""


class CycleError(InvalidInput):
    """A dependency would close a cycle. `cycle` lists the task ids around it, first = last."""

    def __init__(self, message: str, cycle: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.cycle = cycle


class PlanningFailed(DynTaskError):
    """The planner gave no usable plan, even after it was asked again."""


class OutsideDomain(PlanningFailed):
    """The embedded teaching model declined a request outside its domains."""


class AgentError(DynTaskError):
    """An agent's attempt at a task failed, after spending `tokens` and `cost` on a model.

    `retryable`: another attempt may succeed.
    """

    def __init__(self, message: str, *, retryable: bool = True, tokens: int = 0, cost: float = 0.0) -> None:
        super().__init__(message)
        self.retryable, self.tokens, self.cost = retryable, tokens, cost


class MissingExtra(DynTaskError, ImportError):
    """An optional dependency is not installed; the message gives the pip command."""


class StoreError(DynTaskError):
    """The context store or the journal could not be opened, read or written.

    `retryable`: because of SQLite's `cause` (no space, or another process writes) it may work later.
    """

    def __init__(self, message: str, cause: BaseException | None = None) -> None:
        super().__init__(message)
        passing = ("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_BUSY")
        self.retryable = getattr(cause, "sqlite_errorname", "").startswith(passing)


class StoreLocked(StoreError):
    """The context store is open already, in the process that the message names."""


class RunFailed(DynTaskError):
    """A run ended without its result; the message lists the failed tasks and why."""


class RunCancelled(DynTaskError):
    """A result was asked of a run that was cancelled."""


class BackendError(DynTaskError):
    """Base of what a language-model backend can raise. `retryable`: the same call may succeed later."""

    retryable = False


class BadRequest(BackendError):
    """The request itself is wrong (unknown model, bad parameter): repeating it cannot help."""


class ContextOverflow(BadRequest):
    """Prompt plus `max_tokens` exceed the model's context window."""


class Overloaded(BackendError):
    """The backend is out of capacity or rate-limited."""

    retryable = True


class OutOfMemory(Overloaded):
    """The engine ran out of memory with so many requests at once; it goes on with a smaller batch."""


class Unavailable(BackendError):
    """The backend cannot be reached."""

    retryable = True


class EngineDead(BackendError):
    """The engine died and cannot answer until it is restarted."""


class BadWeights(BackendError):
    """The embedded model's files are missing, damaged, or of a kind the engine does not implement."""


class BackendTimeout(BackendError):
    """The request's deadline passed before the answer was complete."""

    retryable = True


class Silent(BackendTimeout):
    """The model's server said nothing for longer than it is waited for."""


class InvalidOutput(BackendError):
    """The model's answer does not satisfy what was asked of it (for instance a JSON schema)."""

    retryable = True
