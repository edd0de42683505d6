"""What becomes of a failed attempt: the Monitor role says so, else a fixed rule does.

The rule: try again after a while, on a different agent if one can; then skip what is not critical, else fail.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from zlib import crc32

from dyntaskmas_nb.apee.ledger import READY, SKIPPED, Record
from dyntaskmas_nb.core import event as events
from dyntaskmas_nb.core.effect import AskMonitor
from dyntaskmas_nb.core.settings import RETRY_LONGEST
from dyntaskmas_nb.core.task import TaskId

if TYPE_CHECKING:
    from dyntaskmas_nb.apee.machine import Machine

#: Failures of one task after which its monitor is not asked any more.
MOST_FAILURES = 10


def on_failure(m: Machine, record: Record, event: events.TaskFailed) -> None:
    """An attempt failed; one that is not to be repeated uses up all that its task has."""
    id, t, task, monitor = event.task, event.t, m.graph._tasks[event.task], m.settings.monitor
    record.failures += 1
    asked = monitor and task.role != monitor and record.failures < MOST_FAILURES
    if not event.retryable:
        record.failures = max(record.failures, task.attempts + m.settings.extra_attempts)
    if record.agent not in record.avoid:
        record.avoid += (record.agent,)
    if asked:
        m.ledger.make_ready(id, record, t, event.error)
        record.hold = "monitor"
        m.effects.append(AskMonitor(monitor, task, record.attempt, event.error))
    else:
        _rule(m, id, record, t, event.error)


def on_monitor(m: Machine, event: events.MonitorDecided) -> None:
    """The monitor decided, unless the task has gone on meanwhile."""
    id, t, record = event.task, event.t, m.records.get(event.task)
    if not record or record.hold != "monitor" or record.attempt != event.attempt:
        return
    error, record.hold = record.reason, ""
    match event.decision:
        case "retry" | "reassign":
            record.avoid = () if event.decision == "retry" else record.avoid
            m.ledger.newly_ready.append(id)
        case "skip":
            m.ledger.close(id, record, SKIPPED, t, f"the monitor skipped it: {event.reason or error}")
        case "ask":
            m.hold(id, record, "ask", f"waits for a decision: {event.reason or error}", t)
        case "rule":
            m.ledger.newly_ready.append(id)
            _rule(m, id, record, t, error)


def _rule(m: Machine, id: TaskId, record: Record, t: float, error: str) -> None:
    if record.failures >= m.graph._tasks[id].attempts + m.settings.extra_attempts:
        m.give_up(id, t, error)
        return
    if record.state is not READY:
        m.ledger.make_ready(id, record, t, error)
    delay = min(m.settings.retry_delay * 2.0 ** (record.failures - 1), RETRY_LONGEST)
    draw = crc32(f"{m.settings.seed}:{id}:{record.attempt}".encode()) / 2**32
    if delay := delay * (1 + m.settings.retry_jitter * draw):
        record.hold, record.due = "retry", t + delay
        m.ledger.timer(t + delay, id)


def stopped_reason(event: events.Input, reason: str) -> str:
    """`reason`, or that the agent would not stop."""
    abandoned = isinstance(event, events.TaskStopped) and event.abandoned
    return f"{reason}; its agent did not stop and was abandoned" if abandoned else reason
