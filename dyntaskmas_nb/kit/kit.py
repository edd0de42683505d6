"""`Kit`: the four parts wired together behind one object (paper Fig. 1)."""

from __future__ import annotations

import secrets
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeVar

from dyntaskmas_nb.agents.roles import Behaviours
from dyntaskmas_nb.apee.journal import RunInfo
from dyntaskmas_nb.apee.machine import Machine
from dyntaskmas_nb.apee.pool import Pool
from dyntaskmas_nb.apee.priority import Rule, policy_of
from dyntaskmas_nb.apee.routing import Routing
from dyntaskmas_nb.core.command import Pause
from dyntaskmas_nb.core.event import CommandSubmitted, DeltaSubmitted, Input, RunReopened, RunStarted
from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.settings import (
    ANY_ROLE,
    AgentSpec,
    Settings,
    check_settings,
    configured,
    universal_agents,
)
from dyntaskmas_nb.dtgg.planner import MAX_TASKS, check_sentence
from dyntaskmas_nb.dtgg.update import as_delta
from dyntaskmas_nb.errors import InvalidInput, StoreError
from dyntaskmas_nb.kit.access import Access
from dyntaskmas_nb.kit.parts import Parts
from dyntaskmas_nb.kit.planning import plan_run
from dyntaskmas_nb.kit.reopen import adopt, replayed, share
from dyntaskmas_nb.kit.run import Run
from dyntaskmas_nb.llm.connect import connect
from dyntaskmas_nb.llm.limits import Limited, Limits
from dyntaskmas_nb.llm.price import Price, price_of
from dyntaskmas_nb.llm.protocol import Backend
from dyntaskmas_nb.sacms.analyser import SemanticAnalyser
from dyntaskmas_nb.sacms.embed import Embedder, embedder_of
from dyntaskmas_nb.view.html import listing

T = TypeVar("T")
ClockName = Literal["real", "virtual"]
HOME = ".dyntaskmas"
#: Runs that a kit's picture in a notebook lists, the latest first.
LISTED = 20


class Kit:
    """Plans, runs and keeps; a context manager, closed at the latest when Python exits.

    Parameters
    ----------
    model : None for the embedded teaching Llama (under the virtual clock: the simulated one), "simulated",
        an OpenAI-compatible server's URL, a checkpoint directory, or a `Backend`; several of these in a list
        share the requests (see `llm.pool`).
    agents : role → plain Python function ``(task, context) -> result``, sync or async; "*" for every role.
    home : directory of journal and context store, None to keep everything in memory.
    policy : default priority rule, a name or a function (see `apee.priority`).
    clock : "real", or "virtual" for runs whose time only passes when they are asked.
    seed : feeds everything drawn at random.
    max_tasks : the most subtasks a plan may have.
    max_depth : how often tasks are decomposed (Alg. 1): 1 plans the sentence, 2 its larger subtasks too.
    embedder : what makes text comparable in the context store: None for shared words and word parts, a
        sentence-transformers model on this machine by name or path, a function of texts, or an `Embedder`.
    analyser : says what a text is about (Eq. 9): rules and small ontologies, or any `SemanticAnalyser`.
    limits : rate limits of the model for all runs together: ``{"requests_per_second": 2,
        "tokens_per_minute": 60_000, "concurrent": 8}``.
    prices : of a million tokens by model name, "*" for any: ``{"*": {"input": 0.5, "output": 2.0}}``.

    Raises
    ------
    InvalidInput, StoreError, BackendError
        In one sentence, before anything is written.

    Examples
    --------
    >>> def add(task, context):
    ...     return sum(task.inputs)
    >>> with Kit(agents={"adder": add}, home=None) as kit:
    ...     kit.start({"subtasks": [{"id": "a", "role": "adder", "inputs": [1, 2]}]}).result()
    3
    """

    def __init__(
        self,
        model: str | Path | Backend | Sequence[str | Path | Backend] | None = None,
        *,
        agents: Mapping[str, Callable[..., Any]] | None = None,
        home: str | Path | None = HOME,
        policy: str | Rule = "upward_rank",
        clock: ClockName = "real",
        seed: int = 0,
        max_tasks: int = MAX_TASKS,
        max_depth: int = 1,
        embedder: str | Path | Callable[..., Any] | Embedder | None = None,
        analyser: SemanticAnalyser | None = None,
        limits: Limits | Mapping[str, float] | None = None,
        prices: Mapping[str, Price | Mapping[str, float]] | None = None,
    ) -> None:
        self._virtual = _is_virtual(clock)
        self._policy, self._seed = policy_of(policy, seed), seed
        check_settings(Settings(policy=self._policy.name, seed=seed))
        self._max_tasks, self._max_depth = max_tasks, max_depth
        if type(max_depth) is not int or not 1 <= max_depth <= 4:
            raise InvalidInput(f"max_depth is a whole number from 1 to 4, not {max_depth!r}.")
        self.backend = connect("simulated" if model is None and self._virtual else model)
        if limits is not None:
            self.backend = Limited(self.backend, made(Limits, limits))
        self._prices = None if prices is None else {name: made(Price, prices[name]) for name in prices}
        price = Price() if self._prices is None else price_of(self._prices, self.backend.name)
        self.home = None if home is None else Path(home)
        behaviours = Behaviours(agents, self.backend, price)
        if self._virtual and not agents:
            _check_virtual(self.backend, behaviours, None)
        self._parts = Parts(self.backend, behaviours, self.home, embedder_of(embedder), analyser)
        self._live: weakref.WeakValueDictionary[str, Run] = weakref.WeakValueDictionary()
        self._close = weakref.finalize(self, _close_somewhere, self._parts)

    # -- runs ----------------------------------------------------------------------------------------

    def start(
        self,
        what: str | TaskGraph | Mapping[str, Any],
        *,
        agents: int | Sequence[AgentSpec] | None = None,
        policy: str | Rule | None = None,
        clock: ClockName | None = None,
        seed: int | None = None,
        seconds_per_unit: float = 1.0,
        paused: bool = False,
        **settings: Any,
    ) -> Run:
        """Start a run and return at once.

        Parameters
        ----------
        what : a sentence to plan, a `TaskGraph`, or a plan as a dict (see `TaskGraph.from_plan`).
        agents : how many agents that can take every role, or their specifications; by default every role
            of the plan gets its own.
        policy, clock, seed : instead of the kit's own.
        seconds_per_unit : T_c, what one unit of complexity is expected to take.
        paused : start nothing before `run.resume()` or `run.step()`.
        **settings : others of `core.settings.Settings`: retry_delay, retry_jitter, monitor, routing,
            routing_table, agents_per_role, stop_grace, budget (``{"tokens": 10_000, "seconds": 60}``), push;
            awm ("off", "advise", "auto", or a dict of `core.settings.Adaptation`, as in
            ``{"mode": "auto", "share_tokens": True}``), and what it adapts, to begin with: rates (pace by
            role), pins (task → its only agent), extra_attempts, token_shares (agent → share of the model's
            tokens a minute).

        Raises
        ------
        InvalidInput
            What is wrong with the sentence, the plan or a setting.
        """
        virtual = self._virtual if clock is None else _is_virtual(clock)
        number = self._seed if seed is None else seed
        chosen = self._policy if policy is None else policy_of(policy, number)
        base = Settings(
            policy=chosen.name,
            seed=number,
            seconds_per_unit=seconds_per_unit,
            modelled_transfers=self.backend.caps.virtual,
        )
        rules = configured(base, settings, ("policy", "seed", "seconds_per_unit", "modelled_transfers"))
        Routing(rules.routing_table)  # refuses a table that is none
        if rules.budget.cost is not None and self._prices is None:
            raise InvalidInput("A budget of cost needs prices; give them with Kit(prices={…}).")
        graph, request = _asked(what)
        if virtual:
            _check_virtual(self.backend, self._parts.behaviours, graph)
        specs = _specs(agents)
        machine = Machine(run_name(datetime.now(UTC)), chosen if chosen.name == "custom" else None)
        started = RunStarted(0.0, request, rules, specs, planning=graph is None)
        inputs: list[Input] = [started]
        if graph is not None:
            inputs.append(DeltaSubmitted(0.0, 0, as_delta(graph), by="plan"))
        if paused:
            inputs.append(CommandSubmitted(0.0, 0, Pause()))
        return self._launch(machine, started, virtual, inputs, plan=graph is None)

    def open_run(self, id: str, *, policy: Rule | None = None) -> Run:
        """Read a run back from the journal.

        A finished run shows its results. An interrupted one is paused where it stood: what was running is
        queued again unless its result was stored already, and `run.resume()` goes on.

        Parameters
        ----------
        policy : the priority rule, for a run that had one of the user's own.

        Raises
        ------
        InvalidInput
            There is no such run, or it needs its `policy`.
        StoreError
            The journal cannot be read.
        """
        live = self._live.get(id)
        if live is not None and not (live.over and live.status in ("interrupted", "failed")):
            return live
        going = self._parts.going.get(id)
        if going and not going[0].machine.ended:  # it goes on, and nobody kept its handle
            engine, background, driver = going
            run = self._live[id] = Run(engine, background, driver, self._parts, self)
            return run
        events = self._parts.journal.events(id)
        first = events[0]
        assert isinstance(first, RunStarted)
        if first.settings.policy == "custom" and policy is None:
            raise InvalidInput(f"Run {id!r} had a priority rule of its own; pass it with policy=….")
        machine = replayed(id, events, None if policy is None else policy_of(policy))
        info = next(info for info in self._parts.journal.runs() if info.run == id)
        virtual, t = info.clock == "virtual", machine.log[-1].t
        if machine.ended:
            return self._launch(machine, first, virtual, [], plan=False)
        if virtual:
            _check_virtual(self.backend, self._parts.behaviours, None if machine.planning else machine.graph)
        self._parts.take(info)
        inputs: list[Input] = [RunReopened(t), CommandSubmitted(t, 0, Pause(), by="kit")]
        return self._launch(machine, first, virtual, inputs, plan=machine.planning)

    def runs(self) -> list[RunInfo]:
        """Runs in the journal, oldest first."""
        return self._parts.journal.runs()

    # -- ends ----------------------------------------------------------------------------------------

    def close(self) -> None:
        """Stop what runs (it can be opened again), free the model and the store. Closing twice is fine."""
        self._close.detach()
        self._parts.close()

    def __enter__(self) -> Kit:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        closed = "" if self._close.alive else ", closed"
        return f"<Kit model={self.backend.name!r}, home={str(self.home) if self.home else None!r}{closed}>"

    def _repr_html_(self) -> str:
        try:
            runs = self.runs()[-LISTED:][::-1]
        except StoreError:  # the journal is closed with the kit
            runs = []
        cells = [(run.run, run.created, run.request, run.status, run.clock) for run in runs]
        return listing(repr(self), ("run", "started", "asked for", "status", "clock"), cells)

    # -- inside ---------------------------------------------------------------------------------------

    def _fork(self, run: Access, inputs: Sequence[Input]) -> Run:
        """Start a run from the inputs that its fork begins with."""
        machine, started = Machine(run_name(datetime.now(UTC)), run._machine._custom), inputs[0]
        assert isinstance(started, RunStarted)
        return self._launch(machine, started, run._background.clock.virtual, inputs, plan=False)

    def _launch(
        self, machine: Machine, started: RunStarted, virtual: bool, inputs: Sequence[Input], *, plan: bool
    ) -> Run:
        """Put a machine on a loop; with `plan` the request is still to be planned."""
        parts, request, settings = self._parts, started.request, started.settings
        background = parts.background(virtual=virtual)
        engine, wiring = background.call(parts.engine, machine, settings, background)
        if not machine.log:
            info = RunInfo(
                run=machine.run,
                created=datetime.now(UTC).isoformat(timespec="seconds"),
                request=request[:500],
                status="running",
                clock="virtual" if virtual else "real",
                functions=parts.behaviours.roles,
            )
            parts.journal.open_run(info)

        async def work() -> None:
            engine.saved(len(machine.log))
            await adopt(engine, wiring)
            await share(wiring, machine.run, inputs)
            for event in inputs:
                engine.post(event)

        background.call(work)
        known = len(machine.log)
        driver = parts.drive(engine, background)
        if inputs:
            background.call(engine.until, lambda: len(machine.log) > known)
        run = self._live[machine.run] = Run(engine, background, driver, parts, self)
        if plan:
            background.spawn(plan_run, engine, request, *run._planner)
        return run


def made(kind: type[T], given: T | Mapping[str, float]) -> T:
    """`given` as a `kind`, where it is a dict of its fields; raises `InvalidInput` for others."""
    try:
        return kind(**given) if isinstance(given, Mapping) else given
    except TypeError:
        there = ", ".join(part.name for part in fields(kind))  # type: ignore[arg-type]
        raise InvalidInput(f"{kind.__name__} has {there}; not all of {', '.join(given)}.") from None  # type: ignore[arg-type]


def _close_somewhere(parts: Parts) -> None:
    """Close a kit that was forgotten: its memory may be freed on a loop, which must not wait for itself."""
    if threading.current_thread() is threading.main_thread():
        parts.close()
    else:
        threading.Thread(target=parts.close, name="dyntaskmas close").start()


def _check_virtual(backend: Backend, behaviours: Behaviours, graph: TaskGraph | None) -> None:
    """Refuse what would ask a model that takes real time under the virtual clock."""
    if backend.caps.virtual:
        return
    roles = set() if graph is None else {task.role for task in graph.tasks.values()}
    own = set(behaviours.roles)
    if graph is None or not (roles <= own or ANY_ROLE in own):
        raise InvalidInput(
            f"The model {backend.name!r} takes real time and cannot run under the virtual clock. "
            "Use Kit(model='simulated'), Python functions for all roles, or clock='real'."
        )


def _specs(agents: int | Sequence[AgentSpec] | None) -> tuple[AgentSpec, ...]:
    """The agents asked for, found good; none where every role is to get its own."""
    if isinstance(agents, int):
        return universal_agents(agents)
    specs = () if agents is None else agents
    if not isinstance(specs, Sequence) or not all(isinstance(spec, AgentSpec) for spec in specs):
        raise InvalidInput(f"agents is a number or a list of AgentSpec, not {agents!r:.80}.")
    trial = Pool()
    for spec in specs:
        trial.add(spec)
    return tuple(specs)


def _asked(what: object) -> tuple[TaskGraph | None, str]:
    """The graph and the request behind what the user asked for; no graph for a sentence."""
    if isinstance(what, str):
        return None, check_sentence(what)
    if isinstance(what, Mapping):
        what = TaskGraph.from_plan(what)
    if not isinstance(what, TaskGraph):
        raise InvalidInput(f"Start takes a sentence, a TaskGraph or a plan dict, not {type(what).__name__}.")
    if not len(what):
        raise InvalidInput("The graph has no tasks; add at least one.")
    return what, what.title


def run_name(now: datetime) -> str:
    """A name for a run that sorts by time and does not repeat."""
    return f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def _is_virtual(clock: object) -> bool:
    if clock not in ("real", "virtual"):
        raise InvalidInput(f"The clock is 'real' or 'virtual', not {clock!r}.")
    return clock == "virtual"
