"""The parts of a kit: model, agents, journal, stores and loops, made when first needed, freed once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, wait
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary, proxy

import anyio

from dyntaskmas_nb.agents.roles import Behaviours
from dyntaskmas_nb.apee.engine import Engine
from dyntaskmas_nb.apee.journal import Journal, Keeper, MemoryJournal, RunInfo
from dyntaskmas_nb.apee.machine import Machine
from dyntaskmas_nb.awm.manager import Manager
from dyntaskmas_nb.core.event import Input, MachineSampled
from dyntaskmas_nb.core.settings import ANY_ROLE, Settings
from dyntaskmas_nb.errors import InvalidInput
from dyntaskmas_nb.kit.background import Background
from dyntaskmas_nb.kit.wiring import Wiring
from dyntaskmas_nb.llm.protocol import Backend
from dyntaskmas_nb.sacms.analyser import RuleAnalyser, SemanticAnalyser
from dyntaskmas_nb.sacms.embed import Embedder
from dyntaskmas_nb.sacms.memory import MemoryStore
from dyntaskmas_nb.sacms.store import ContextStore

#: Seconds that closing waits for what runs to stop.
PATIENCE = 5.0
#: Seconds between two samples of the machine, while the AWM or a face looks at a run.
SAMPLED = 5.0
JOURNAL = "journal.sqlite"


class Parts:
    """Owns everything of a kit that must be freed. Virtual runs keep their context in memory."""

    def __init__(
        self,
        backend: Backend,
        behaviours: Behaviours,
        home: Path | None,
        embedder: Embedder | None = None,
        analyser: SemanticAnalyser | None = None,
    ) -> None:
        self._embedder = embedder
        self._analyser = analyser
        self.backend = backend
        self.behaviours = behaviours
        self.home = home
        self.journal: Keeper = MemoryJournal() if home is None else Journal(home / JOURNAL)
        self.going: dict[str, list[Any]] = {}  # engine, loop and driver of a run
        self._store: ContextStore | None = None
        self._real: Background | None = None
        self._virtual: list[Background] = []
        self._drivers: list[Future[Any]] = []
        self._managers: WeakKeyDictionary[Engine, Manager] = WeakKeyDictionary()
        self._wirings: WeakKeyDictionary[Engine, Wiring] = WeakKeyDictionary()
        self._faces: WeakKeyDictionary[Engine, set[Callable[[], None]]] = WeakKeyDictionary()
        self._closed = False

    def store(self) -> ContextStore:
        """The context store that real runs share: Chroma in the home directory, else in memory."""
        if self._store is None:
            if self.home is None:
                self._store = MemoryStore(self._embedder)
            else:
                from dyntaskmas_nb.sacms.chroma import ChromaStore

                self._store = ChromaStore(self.home / "context", self._embedder)
        return self._store

    def analyser(self) -> SemanticAnalyser:
        """What says what texts are about: by rules, unless another was given."""
        if self._analyser is None:
            self._analyser = RuleAnalyser()
        return self._analyser

    def background(self, *, virtual: bool) -> Background:
        """The loop a run lives on: the shared real one, or a new virtual one."""
        if virtual:
            self._virtual.append(Background(virtual=True))
            return self._virtual[-1]
        if self._real is None:
            self._real = Background()
        return self._real

    def engine(self, machine: Machine, settings: Settings, background: Background) -> tuple[Engine, Wiring]:
        """An engine for `machine`, and the wiring behind its agents."""
        virtual = background.clock.virtual

        def post(event: Input) -> None:
            event.t = there.now()
            there.post(event)

        wiring = Wiring(
            store=MemoryStore(self._embedder) if virtual else self.store(),
            behaviours=self.behaviours,
            backend=self.backend,
            seed=settings.seed,
            inline=virtual,
            seconds_per_unit=settings.seconds_per_unit,
            analyser=self.analyser(),
            post=post,
            push=settings.push,
        )
        engine = Engine(machine, wiring.perform, background.clock, self.journal, wiring.decide)
        there = proxy(engine)  # what is kept by engine must not hold it
        self._wirings[engine] = wiring
        return engine, wiring

    def wiring(self, engine: Engine) -> Wiring:
        """What is behind the agents of an engine that `engine` made."""
        return self._wirings[engine]

    def manager(self, engine: Engine) -> Manager:
        """The AWM of a run."""
        if (known := self._managers.get(engine)) is None:
            known = self._managers[engine] = Manager(proxy(engine))
            engine.watch(known.look)
        return known

    def drive(self, engine: Engine, background: Background) -> Future[None]:
        """Let the engine run on its loop; when it stops, another process may go on with the run."""
        run, this = engine.machine.run, [engine, background]
        self.going[run] = this

        async def drive() -> None:
            try:
                async with anyio.create_task_group() as group:
                    group.start_soon(self.manager(engine).run)
                    if not background.clock.virtual:
                        group.start_soon(self._sample, engine)
                    await engine.run()
                    group.cancel_scope.cancel()
            finally:
                if self.going.get(run) is this:  # and nobody drives it again already
                    del self.going[run]
                    self.journal.release(run)

        driver = background.spawn(drive)
        this.append(driver)
        self._drivers.append(driver)
        return driver

    def watch(self, engine: Engine, changed: Callable[[], None]) -> Callable[[], None]:
        """Let a face watch a run, and have the machine sampled for it; return what ends that."""
        faces, off = self._faces.setdefault(engine, set()), engine.watch(changed)
        faces.add(changed)

        def end() -> None:
            faces.discard(changed)
            off()

        return end

    async def _sample(self, engine: Engine) -> None:
        """Note what the machine does, while the AWM looks at the run, or a face does and tasks run."""

        def wanted() -> bool:
            watched = self._faces.get(engine) and engine.machine.running > 0
            return bool(watched) or engine.machine.settings.awm.mode != "off"

        def post(event: MachineSampled) -> None:
            if wanted():
                engine.post(event)
            else:
                scope.cancel()

        while True:
            await engine.until(wanted)
            if engine.finished.is_set():
                return
            from dyntaskmas_nb.awm.sampler import sample

            with anyio.CancelScope() as scope:
                await sample(post, SAMPLED, engine.now)

    def take(self, info: RunInfo) -> None:
        """Make an interrupted run this kit's; refuse it where its Python functions are missing."""
        here = set(self.behaviours.roles)
        if missing := [role for role in info.functions if not {role, ANY_ROLE} & here]:
            raise InvalidInput(
                f"Run {info.run!r} works with Python functions for {', '.join(map(repr, missing))}; go on "
                f"from Python: Kit(agents={{{missing[0]!r}: …}}).open_run({info.run!r})."
            )
        self.journal.claim(info.run)

    def close(self) -> None:
        """Interrupt every run, free model and store, end the loops, close the journal; once."""
        if self._closed:
            return
        self._closed = True
        for background in filter(None, [*self._virtual, self._real]):
            background.call(lambda: None)  # a run that has just ended is over before it would be cancelled
        for driver in self._drivers:
            driver.cancel()
        wait(self._drivers, PATIENCE)
        for background in self._virtual:
            background.close()
        real = self.background(virtual=False)
        try:
            if self._store is not None:
                real.call(self._store.aclose)
            real.call(self.backend.aclose)
        finally:
            real.close()
            self.journal.close()
