"""Reflection (§III-A): critique and revision unrolled as tasks, never a cycle in G.

`reflect` puts 2·n tasks behind a task v: its critique ``v.1``, its revision ``v.2``, the critique of that and
so on; what waited for v waits for the last. Once a critique says that it is good, or hardly better than
before, the rest passes the better version on without asking an agent. So the Δ says it all: resuming needs
nothing else, and a simulation assumes all n cycles.

Paper silent: what counts as improvement; we compare each revision's score with that of what it revised. The
reason stands in a critique's result as "stopped": "quality" (score ≥ q), "gain" (improvement < ε), or "count"
(the n-th critique, whose revision is the last).
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from dyntaskmas_nb.core.delta import AddDependency, AddTask, Batch, Delta, RemoveDependency
from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.task import ALL, MAX_NAME, MAX_TEXT, Task, TaskId, check_text, shown
from dyntaskmas_nb.dtgg.repair import ATTEMPTS, free_id, read_json
from dyntaskmas_nb.errors import AgentError, InvalidInput, InvalidOutput

MAX_CYCLES = 10
_KEY = "reflection"
_FORM = '{"score": 0.0 to 1.0, "critique": "what to improve"}'

Results = Mapping[TaskId, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One task of a reflection, with `inputs` for its agent: the critique of a version, or its revision.

    `critique` is, for a revision, that of `version`, and for a critique that of the version `earlier`.
    """

    revises: bool
    version: TaskId
    earlier: TaskId
    critique: TaskId
    cycle: int
    n: int
    q: float
    epsilon: float
    inputs: Any = None

    @property
    def reads(self) -> tuple[TaskId, ...]:
        """Whose results its agent is shown."""
        return (self.version, self.critique) if self.revises else (self.version,)

    def over(self, results: Results) -> bool:
        """Whether there is nothing for an agent to do, given the results of the step's predecessors."""
        stopped = self._said(results).get("stopped", "no critique" if self.revises else "")
        return results.get(self.version) is None or stopped not in ("", "count")

    def passed_on(self, results: Results) -> Any:
        """The result of a step that is `over`: the critique before it, or the better version."""
        said = self._said(results)
        if self.revises:
            return results.get(said.get("better", ""), results.get(self.version))
        return said or {"score": None, "critique": "", "stopped": "no result", "better": self.version}

    def concluded(self, answer: Any, results: Results) -> Any:
        """What an agent's answer amounts to; raises `AgentError` for a critique without a score."""
        if self.revises:
            return answer
        score, critique = _score(answer)
        before = self._said(results).get("score")
        gain = 1.0 if before is None else score - before
        stopped = "gain" if gain < self.epsilon else "count" if self.cycle == self.n else ""
        return {
            "score": score,
            "critique": critique,
            "stopped": "quality" if score >= self.q else stopped,
            "better": self.version if gain >= 0 else self.earlier,
        }

    def _said(self, results: Results) -> dict[str, Any]:
        said = results.get(self.critique)
        return said if isinstance(said, dict) else {}


def step_of(task: Task) -> Step | None:
    """The step of a reflection that `task` is, or None."""
    if task.inputs is None:
        return None
    with suppress(TypeError, KeyError):  # other inputs
        return Step(**task.inputs[_KEY])
    return None


def reflect(
    graph: TaskGraph, id: TaskId, judge: str, *, q: float = 0.8, n: int = 3, epsilon: float = 0.02
) -> Batch:
    """The Δ that has the result of task `id` judged, and revised by its own role, at most `n` times.

    Parameters
    ----------
    judge : role of the agent or function that gives a score from 0 to 1, or a "score" and a "critique".
    q : the score that is good enough.
    epsilon : the least improvement that another cycle is worth.

    Raises `InvalidInput` where there is no such task, or an argument makes no sense.
    """
    task = graph[id]
    _check(judge, q, n, epsilon)
    about = (task.description.strip() or id.replace("_", " "))[: MAX_TEXT - 200]
    asked = f"Judge the result of: {about}\nAnswer with JSON: {_FORM}"
    judging = Task(id=id, description=asked, role=judge, critical=task.critical, attempts=ATTEMPTS)
    revising = replace(task, description=f"Improve the result by its critique: {about}", join=ALL)
    inputs = (step_of(task) or task).inputs
    steps: list[Delta] = []
    version, earlier, critique = id, "", ""
    for number in range(1, 2 * n + 1):
        revises, made = number % 2 == 0, free_id(f"{id[:180]}.{number}", graph)
        step = {"revises": revises, "version": version, "earlier": earlier, "critique": critique}
        step |= {"cycle": (number + 1) // 2, "n": n, "q": q, "epsilon": epsilon}
        step |= {"inputs": inputs} if revises else {}
        before = (version, critique, earlier) if revises else (version, critique)
        added = replace(revising if revises else judging, id=made, inputs={_KEY: step})
        steps.append(AddTask(task=added, after={other: 0.0 for other in before if other}))
        if revises:
            version, earlier = made, version
        else:
            critique = made
    for after, information in graph.before(id).items():
        steps.append(RemoveDependency(before=id, after=after))
        steps.append(AddDependency(before=version, after=after, information=information))
    return Batch(deltas=tuple(steps))


def _check(judge: object, q: object, n: object, epsilon: object) -> None:
    if callable(judge):
        raise InvalidInput('judge is a role; give the function to Kit(agents={"judge": function}).')
    check_text(judge, "judge, a role,", MAX_NAME, empty=False)
    for name, value in (("q", q), ("epsilon", epsilon)):
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise InvalidInput(f"{name} must be a number from 0 to 1, not {shown(value)}.")
    if type(n) is not int or not 1 <= n <= MAX_CYCLES:
        raise InvalidInput(f"n must be a whole number from 1 to {MAX_CYCLES}, not {shown(n)}.")


def _score(answer: Any) -> tuple[float, str]:
    """The score in a judge's answer, which may be text, and the critique."""
    value: Any = answer
    critique = ""
    if isinstance(answer, str):
        try:
            value = float(answer)
        except ValueError:
            with suppress(InvalidOutput):
                value = read_json(answer)[0]
    if isinstance(value, dict):
        value, critique = value.get("score"), str(value.get("critique") or "")
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise AgentError(
            f"The judge answered {shown(answer)}; a score from 0 to 1 is needed, or an object with such a "
            '"score" and a "critique".'
        )
    return float(value), critique
