"""How an attempt comes about: context from the store, the agent's work, the result into the store.

The engine hands over an `Assignment` and gets an answer; what lies between is put together here.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

import anyio

from dyntaskmas_nb.agents.context import Context, Item
from dyntaskmas_nb.agents.llama import LlamaAgent, as_text
from dyntaskmas_nb.agents.outcome import Answer
from dyntaskmas_nb.agents.roles import Behaviours
from dyntaskmas_nb.apee.assignment import Assignment
from dyntaskmas_nb.apee.engine import RETRY
from dyntaskmas_nb.core.effect import AskMonitor
from dyntaskmas_nb.core.event import MonitorDecided
from dyntaskmas_nb.core.task import Task, TaskId
from dyntaskmas_nb.dtgg.reflection import step_of
from dyntaskmas_nb.errors import AgentError, InvalidInput, StoreError
from dyntaskmas_nb.llm.protocol import Backend
from dyntaskmas_nb.sacms.context import gather_context
from dyntaskmas_nb.sacms.node import ContextNode, Provenance, result_id
from dyntaskmas_nb.sacms.store import ContextStore
from dyntaskmas_nb.sacms.tags import extract_tags

DECISIONS = frozenset({"retry", "reassign", "skip", "ask", "rule"})
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """Everything an attempt needs besides its assignment.

    `inline`: under the virtual clock, where a Python function takes the seconds its complexity declares.
    """

    store: ContextStore
    behaviours: Behaviours
    backend: Backend
    seed: int = 0
    inline: bool = False
    seconds_per_unit: float = 1.0

    async def perform(self, job: Assignment) -> Answer:
        """Let an agent work on `job`; its result is in the store when this returns.

        Raises `AgentError`, which says in one sentence what went wrong.
        """
        step = step_of(job.task)
        if step is None:
            answer = await self._work(job)
        elif step.over(job.results):
            answer = Answer(result=step.passed_on(job.results))
        else:  # one task of a reflection: shown what it judges or revises, and nothing else
            results = {id: result for id, result in job.results.items() if id in step.reads}
            task = replace(job.task, inputs=step.inputs)
            answer = await self._work(replace(job, task=task, results=results))
            answer = replace(answer, result=step.concluded(answer.result, job.results))
        await self.keep(job, answer)
        return answer

    async def _work(self, job: Assignment) -> Answer:
        try:
            agent = self.behaviours.agent(job.task.role)
            reads = isinstance(agent, LlamaAgent)
            results, relevant = await self._read(job) if reads else (job.results, ())
        except (StoreError, InvalidInput) as error:
            raise AgentError(str(error)) from None
        context = Context(
            results=results,
            request=job.request,
            relevant=relevant,
            task_id=job.task.id,
            run=job.run,
            agent=job.agent,
            attempt=job.attempt,
            seed=self.seed,
            priority=job.priority,
            seconds_per_unit=self.seconds_per_unit,
            given=job.given,
        )
        if self.inline and not isinstance(agent, LlamaAgent):
            await anyio.sleep(job.task.complexity * self.seconds_per_unit)
        return await agent(job.task, context, inline=self.inline)

    async def decide(self, question: AskMonitor) -> MonitorDecided:
        """Ask the Monitor role about a failed attempt; what is no decision leaves it to the rule."""
        task, role = question.task, question.role
        tries = {"attempt": question.attempt, "attempts": task.attempts}
        asked = {"task": task.id, "error": question.error, **tries}
        words = f"Decide on the failed task {task.id!r} ({question.error}): retry, reassign, skip or ask."
        decision, reason = "rule", ""
        try:
            answer = await self.behaviours.agent(role)(
                Task(id=task.id, description=words, role=role, inputs=asked),
                Context(task_id=task.id, attempt=question.attempt, seed=self.seed),
                inline=self.inline,
            )
            said = answer.result if isinstance(answer.result, dict) else {"decision": answer.result}
            decision = str(said.get("decision", "")).strip().lower()
            reason = str(said.get("reason", ""))[:500]
        except AgentError as error:
            log.warning("the monitor failed on task %s: %s", task.id, error)
        if decision not in DECISIONS:
            decision, reason = "rule", f"the monitor gave no decision, but {decision[:80]!r}"
        return MonitorDecided(0.0, task.id, question.attempt, decision, reason)  # type: ignore[arg-type]

    async def adopt(self, run: str, task: TaskId, attempt: int, access: int) -> Answer | None:
        """The result that this attempt committed before the process ended, if it did."""
        node = await self.store.result_of(run, task, attempt, access=access)
        return Answer(result=node.data) if node else None

    async def _read(self, job: Assignment) -> tuple[dict[TaskId, object], tuple[Item, ...]]:
        """What a Llama reads from the store: its predecessors' results first, then what is relevant."""
        nodes = {result_id(job.run, before, attempt): before for before, attempt in job.producers}
        bundle = await gather_context(
            self.store,
            predecessors=list(nodes),
            query=job.task.description,
            access=job.access,
            budget_tokens=self.backend.caps.context_window // 2,
            count_tokens=self.backend.count_tokens,
            run=job.run,
        )
        results: dict[TaskId, object] = {}
        relevant: list[Item] = []
        shown = {item.id for item in bundle.items}
        if hidden := [before for node, before in nodes.items() if node not in shown]:
            raise AgentError(
                f"Agent {job.agent!r} could not be given the results of {', '.join(hidden)}: they are above "
                "its access level, or do not fit the model's window.",
                retryable=False,
            )
        for item in bundle.items:
            if item.id in nodes:
                results[nodes[item.id]] = item.text
            else:
                relevant.append(Item(title=item.title, text=item.text, relevance=item.relevance or 0.0))
        return results, tuple(relevant)

    async def keep(self, job: Assignment, answer: Answer) -> None:
        """Write a result to the store; raises `AgentError` when that cannot be."""
        text = as_text(answer.result)
        node = ContextNode(
            id=result_id(job.run, job.task.id, job.attempt),
            domain=job.run,
            text=text[:100_000],
            data=answer.result,
            tags=extract_tags(job.task.description, role=job.task.role),
            access=job.access,
            owner=job.agent,
            created=job.t,
            updated=job.t,
            provenance=Provenance(
                run=job.run, task=job.task.id, agent=job.agent, attempt=job.attempt, result=True
            ),
        )
        while True:
            try:
                await self.store.put([node])
                return
            except (StoreError, InvalidInput) as error:
                if not getattr(error, "retryable", False):
                    raise AgentError(f"The result could not be stored: {error}") from None
                log.warning("the result of %s waits: %s", job.task.id, error)
                await anyio.sleep(RETRY)
