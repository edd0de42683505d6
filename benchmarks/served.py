"""Graphs of agents on one model: serial, level barriers, and ours, against what the simulator foretells.

A task's answer has `TOKENS` tokens a unit of complexity, whatever the model would like to say, so that the
work is the same in every row. The simulator is told what so many requests at once cost, measured before: a
beginning and so much a token. Every number is measured on the machine named beside it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import count
from statistics import fmean, median

import anyio

from dyntaskmas_nb import Kit
from dyntaskmas_nb.agents.context import Item
from dyntaskmas_nb.agents.prompts import agent_messages
from dyntaskmas_nb.apee.simulate import simulate
from dyntaskmas_nb.awm.sampler import Gpus
from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.task import Task
from dyntaskmas_nb.kit.paper_plans import layered, travel, with_barriers
from dyntaskmas_nb.llm.protocol import Backend, Chunk, Request, complete
from dyntaskmas_nb.view.layout import layers

TOKENS = 24
"""Tokens of an answer for each unit of complexity."""


_NUMBERS = count()
"""So that prompts that are measured have in common what agents' prompts have, and no more."""


class Sized:
    """A backend whose answers are as long as their tasks say; keeps how long each took (s) and its tokens."""

    def __init__(self, backend: Backend, tokens: int = TOKENS) -> None:
        self.name, self.caps = backend.name, backend.caps
        self.count_tokens = backend.count_tokens
        self.took: list[float] = []
        self.first: list[float] = []
        self.tokens = self.cached = 0
        self._backend, self._each = backend, tokens

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """The backend's answer, `each` tokens a unit of the task's complexity long."""
        size = max(1, round(request.cost * self._each))
        began, first = time.perf_counter(), None
        async with aclosing(self._backend.stream(replace(request, max_tokens=size))) as chunks:
            async for chunk in chunks:
                first = first or time.perf_counter() - began
                if chunk.finish:
                    self.tokens += chunk.completion_tokens
                    self.cached += chunk.cached_tokens
                yield chunk if chunk.text or chunk.finish != "length" else replace(chunk, text=".")
        self.took.append(time.perf_counter() - began)
        self.first.append(first or 0.0)

    async def aclose(self) -> None:
        """The backend under it serves the next row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One run: seconds, tokens of answers, latencies of requests (s), and the simulator's makespan (s)."""

    graph: str
    tasks: int
    how: str
    agents: int
    seconds: float
    foretold: float
    tokens: int
    tokens_per_second: float
    latency_p50: float
    latency_p95: float
    first_token_p50: float
    cached_tokens: int
    busy: float | None = None

    @property
    def ratio(self) -> float:
        """Makespan ÷ what the simulator foretold."""
        return self.seconds / self.foretold


def graphs(small: bool = False) -> dict[str, TaskGraph]:
    """The seven travel agents' graph, and layered ones of 25 and 60 tasks."""
    made = {"travel": travel(), "25 tasks": layered(25, seed=1, seconds=50.0)}
    return made if small else made | {"60 tasks": layered(60, seed=2, seconds=120.0)}


async def cost_of(backend: Backend, at_once: int) -> tuple[float, float]:
    """(seconds to begin, seconds a token) of a request among `at_once`: a line through two lengths."""

    async def batch(tokens: int) -> float:
        async def one(seed: int) -> None:
            number = next(_NUMBERS)
            before = [Item(title="before", text=f"{number} and more. " * 20)]
            messages = agent_messages("expert", f"Task {number}", "A trip to Kyoto", before, terse=False)
            await complete(backend, Request(messages=messages, max_tokens=tokens, seed=seed))

        began = time.perf_counter()
        async with anyio.create_task_group() as group:
            for seed in range(at_once):
                group.start_soon(one, seed)
        return time.perf_counter() - began

    await batch(2)
    short, long = [median([await batch(size) for _ in range(2)]) for size in (8, 40)]
    each = max(0.0, (long - short) / 32)
    return max(0.0, short - 8 * each), each


@contextmanager
def watched(every: float = 0.1) -> Iterator[list[float]]:
    """Read how busy the GPUs are, by NVML, meanwhile; nothing where there are none."""
    gpus, busy, over = Gpus(), list[float](), threading.Event()

    def look() -> None:
        while gpus.there and not over.wait(every):
            busy.extend(one.busy for one in gpus.read())

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield busy
    finally:
        over.set()
        thread.join()


def play(
    backend: Backend,
    graph: TaskGraph,
    how: str,
    agents: int,
    name: str,
    costs: dict[int, tuple[float, float]],
    each: int = TOKENS,
) -> Row:
    """Run `graph` once, and have the simulator foretell it; `costs` by requests at once are kept."""
    levels = list(layers(graph).values())
    at_once = min(agents, max(map(levels.count, levels)))
    if at_once not in costs:
        costs[at_once] = anyio.run(cost_of, backend, at_once)
    begin, token = costs[at_once]
    barriers = with_barriers(graph) if how == "level barrier" else graph
    policy = "fifo" if how == "level barrier" else "upward_rank"

    def duration(task: Task, _: int) -> float:
        return begin + token * max(1, round(task.complexity * each))

    foretold = simulate(barriers, agents, policy, duration=duration).makespan
    sized = Sized(backend, each)
    with Kit(sized, home=None) as kit, watched() as busy:
        began = time.perf_counter()
        run = kit.start(barriers, agents=agents, policy=policy)
        run.result()
        seconds = time.perf_counter() - began
    took, first = sorted(sized.took), sorted(sized.first)
    return Row(
        graph=name,
        tasks=len(graph),
        how=how,
        agents=agents,
        seconds=seconds,
        foretold=foretold,
        tokens=sized.tokens,
        tokens_per_second=sized.tokens / seconds,
        latency_p50=median(took),
        latency_p95=took[int(0.95 * (len(took) - 1))],
        first_token_p50=median(first),
        cached_tokens=sized.cached,
        busy=fmean(busy) if busy else None,
    )


def rows(backend: Backend, agents: Sequence[int], *, small: bool = False, each: int = TOKENS) -> list[Row]:
    """Serial once a graph, then both ways with each number of agents."""
    made: list[Row] = []
    costs: dict[int, tuple[float, float]] = {}
    for name, graph in graphs(small).items():
        made.append(play(backend, graph, "serial", 1, name, costs, each))
        print(line(made[-1]), flush=True)
        for number in agents:
            for how in ("level barrier", "ours"):
                made.append(play(backend, graph, how, number, name, costs, each))
                print(line(made[-1]), flush=True)
    return made


def line(row: Row) -> str:
    """A row of the table, in Markdown."""
    busy = "–" if row.busy is None else f"{row.busy:.0%}"
    return (
        f"| {row.graph} | {row.how} | {row.agents} | {row.seconds:.2f} | {row.foretold:.2f} "
        f"| {row.ratio:.2f} | {busy} | {row.tokens_per_second:,.0f} "
        f"| {row.latency_p50:.2f} / {row.latency_p95:.2f} | {row.first_token_p50 * 1000:.0f} |"
    )


HEAD = (
    "| graph | how | agents | makespan, s | foretold, s | ratio | GPU busy | tokens/s "
    "| request p50 / p95, s | first token p50, ms |\n|---|---|---|---|---|---|---|---|---|---|"
)


def data(made: Sequence[Row]) -> list[dict[str, object]]:
    """The rows as JSON."""
    return [asdict(row) | {"ratio": row.ratio} for row in made]
