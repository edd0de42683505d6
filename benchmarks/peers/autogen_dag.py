"""autogen-core: `agents` routed agents in a single-threaded runtime, one message and its answer a task."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from autogen_core import AgentId, MessageContext, RoutedAgent, SingleThreadedAgentRuntime, message_handler
from common import Waits, answer


@dataclass
class Work:
    """A task to do."""

    id: str


@dataclass
class Done:
    """It is done."""

    id: str


class Worker(RoutedAgent):
    """Does what it is told."""

    def __init__(self) -> None:
        super().__init__("worker")

    @message_handler
    async def on_work(self, message: Work, ctx: MessageContext) -> Done:
        """One checkpoint."""
        await asyncio.sleep(0)
        return Done(message.id)


async def _run(waits: Waits, agents: int) -> int:
    runtime = SingleThreadedAgentRuntime()
    await Worker.register(runtime, "worker", Worker)
    runtime.start()
    left = {id: len(each) for id, each in waits.items()}
    after: dict[str, list[str]] = {id: [] for id in waits}
    for id, each in waits.items():
        for before in each:
            after[before].append(id)
    ready: asyncio.Queue[str | None] = asyncio.Queue()
    for id, count in left.items():
        if not count:
            ready.put_nowait(id)
    done = 0

    async def serve(number: int) -> None:
        nonlocal done
        while (id := await ready.get()) is not None:
            await runtime.send_message(Work(id), AgentId("worker", str(number)))
            done += 1
            for follower in after[id]:
                left[follower] -= 1
                if not left[follower]:
                    ready.put_nowait(follower)
            if done == len(waits):
                for _ in range(agents):
                    ready.put_nowait(None)

    await asyncio.gather(*(serve(number) for number in range(agents)))
    await runtime.stop()
    return done


def run(waits: Waits, agents: int) -> int:
    """Send every task whose predecessors are done to an idle agent."""
    return asyncio.run(_run(waits, agents))


if __name__ == "__main__":
    answer("autogen-core", run)
