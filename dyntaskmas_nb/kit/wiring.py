"""How an attempt comes about: context from the store, the agent's work, the result into the store.

The engine hands over an `Assignment` and gets an answer; what lies between is put together here.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import anyio

from dyntaskmas_nb.agents.context import Context, Item
from dyntaskmas_nb.agents.llama import LlamaAgent, as_text
from dyntaskmas_nb.agents.outcome import Answer
from dyntaskmas_nb.agents.roles import Behaviours
from dyntaskmas_nb.apee.assignment import Assignment
from dyntaskmas_nb.apee.engine import RETRY
from dyntaskmas_nb.core.effect import AskMonitor
from dyntaskmas_nb.core.event import ContextGiven, ContextNote, Input, MonitorDecided
from dyntaskmas_nb.core.task import Task, TaskId
from dyntaskmas_nb.dtgg.reflection import step_of
from dyntaskmas_nb.errors import AgentError, InvalidInput, StoreError
from dyntaskmas_nb.llm.protocol import Backend
from dyntaskmas_nb.sacms.analyser import RuleAnalyser, SemanticAnalyser
from dyntaskmas_nb.sacms.context import ContextItem, gather_context
from dyntaskmas_nb.sacms.distribution import Subscription
from dyntaskmas_nb.sacms.node import MAX_TAGS, ContextNode, Provenance, name_within, result_id
from dyntaskmas_nb.sacms.store import ContextStore
from dyntaskmas_nb.sacms.tags import extract_tags

DECISIONS = frozenset({"retry", "reassign", "skip", "ask", "rule"})
log = logging.getLogger(__name__)

#: Characters of a result that are analysed.
ANALYSED = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """Everything an attempt needs besides its assignment.

    `inline`: under the virtual clock, where a Python function takes the seconds its complexity declares.
    `post` puts an event into the run's inbox; `push` is θ of Alg. 3, None where nothing is pushed;
    `listening` holds the attempts under way by the name of their subscription.
    """

    store: ContextStore
    behaviours: Behaviours
    backend: Backend
    seed: int = 0
    inline: bool = False
    seconds_per_unit: float = 1.0
    analyser: SemanticAnalyser = field(default_factory=RuleAnalyser)
    post: Callable[[Input], None] = lambda event: None
    push: float | None = None
    listening: dict[str, Assignment] = field(default_factory=dict)
    pushing: anyio.Lock = field(default_factory=anyio.Lock)

    async def perform(self, job: Assignment) -> Answer:
        """Let an agent work on `job`; its result is in the store when this returns.

        Raises `AgentError`, which says in one sentence what went wrong.
        """
        if self.push is not None and self.behaviours.accepts(job.task.role):
            async with self._listen(job, self.push):
                answer = await self._answer(job)
        else:
            answer = await self._answer(job)
        await self.keep(job, answer)
        if self.listening:
            await self._deliver()
        return answer

    async def _answer(self, job: Assignment) -> Answer:
        step = step_of(job.task)
        if step is None:
            return await self._work(job)
        if step.over(job.results):
            return Answer(result=step.passed_on(job.results))
        # one task of a reflection: shown what it judges or revises, and nothing else
        results = {id: result for id, result in job.results.items() if id in step.reads}
        task = replace(job.task, inputs=step.inputs)
        part = replace(job, task=task, results=results)
        answer = await self._work(part)
        job.worked = part.worked
        return replace(answer, result=step.concluded(answer.result, job.results))

    # -- distribution (Alg. 3) -----------------------------------------------------------------------

    @asynccontextmanager
    async def _listen(self, job: Assignment, theta: float) -> AsyncIterator[None]:
        """Let an attempt be told of what is written while it works, where more than `theta` relevant."""
        name, tags = f"{job.run}/{job.task.id}/{job.attempt}", await self._tags(job.task)
        wanted = Subscription(agent=name, tags=tags, access=job.access, theta=theta)
        try:
            await self.store.subscribe(wanted)
            self.listening[name] = job
        except StoreError as error:
            log.warning("%s works without being told of anything: %s", name, error)
        try:
            yield
        finally:
            self.listening.pop(name, None)
            with anyio.CancelScope(shield=True):
                await self._end(name)

    async def forget(self, run: str) -> None:
        """End the subscriptions that a process which ended has left for `run`."""
        for name in await self.store.subscribers():
            if name.startswith(f"{run}/"):
                await self._end(name)

    async def _end(self, name: str) -> None:
        try:
            await self.store.unsubscribe(name)
        except StoreError as error:  # it stays, and costs a row for what would have been told
            log.warning("the subscription %s could not be ended: %s", name, error)

    async def _deliver(self) -> None:
        """Hand what was written to the agents that work, in order; what is handed over is written down."""
        async with self.pushing:
            for name, job in list(self.listening.items()):
                try:
                    found = await self.store.deliveries(name)
                    if name not in self.listening or not found:
                        continue
                    for delivery, node in found:
                        if node.domain != job.run:
                            continue
                        title = node.provenance.task if node.provenance else node.id
                        job.given.append(f"{title}: {node.text}")
                        note = _note(job, node, self.backend.count_tokens(node.text), delivery.relevance)
                        told = ContextGiven(
                            0.0, job.task.id, job.attempt, (note,), (), note.tokens, pushed=True
                        )
                        self.post(told)
                    await self.store.acknowledge(name, found[-1][0].seq)
                except StoreError as error:  # the agent works on without it, and is told later
                    log.warning("nothing could be delivered to %s: %s", name, error)

    async def _tags(self, task: Task, result: str = "") -> frozenset[str]:
        """What a task, and the text it gave, are about (Eq. 9)."""
        if not (task.description or result):
            return extract_tags(task.id.replace("_", " "), role=task.role)
        text = f"{task.description}\n{result}".replace("\0", " ")  # which no text of the store may hold
        found = await self.analyser.analyse(text)
        return frozenset([*found.tags[: MAX_TAGS - 1], task.role.strip().casefold()])

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
            token_share=job.token_share,
            steps_to_next_use=job.next_use() if reads else None,
        )
        called = anyio.current_time()
        if self.inline and not isinstance(agent, LlamaAgent):
            await anyio.sleep(job.task.complexity * self.seconds_per_unit)
        answer = await agent(job.task, context, inline=self.inline)
        job.worked = anyio.current_time() - called
        return answer

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
        notes = tuple([_note(job, item, item.tokens, item.relevance) for item in bundle.items])
        self.post(ContextGiven(job.t, job.task.id, job.attempt, notes, bundle.left_out, bundle.tokens))
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
            tags=await self._tags(job.task, text[:ANALYSED] if isinstance(answer.result, str) else ""),
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
                    why = f"The result could not be stored: {error}"
                    raise AgentError(why, tokens=answer.tokens, cost=answer.cost) from None
                log.warning("the result of %s waits: %s", job.task.id, error)
                await anyio.sleep(RETRY)


def _note(
    job: Assignment, what: ContextNode | ContextItem, tokens: int, relevance: float | None
) -> ContextNote:
    id = name_within(what.id, job.run)
    return ContextNote(id=id, version=what.version, tokens=tokens, relevance=relevance)
