"""LangGraph: a node a task, a list of starts where a node waits for several, `agents` at a time."""

from __future__ import annotations

import asyncio
import operator
from typing import Annotated, TypedDict

from common import Waits, answer
from langgraph.graph import END, START, StateGraph


class State(TypedDict):
    """How many nodes ran."""

    done: Annotated[int, operator.add]


async def body(state: State) -> State:
    """One checkpoint."""
    await asyncio.sleep(0)
    return {"done": 1}


def run(waits: Waits, agents: int) -> int:
    """Build, compile and run; return the number of nodes that ran."""
    graph = StateGraph(State)
    for id in waits:
        graph.add_node(id, body)
    followed = {before for each in waits.values() for before in each}
    for id, each in waits.items():
        graph.add_edge(each if len(each) > 1 else each[0] if each else START, id)
        if id not in followed:
            graph.add_edge(id, END)
    config = {"recursion_limit": len(waits) + 10, "max_concurrency": agents}
    return asyncio.run(graph.compile().ainvoke({"done": 0}, config))["done"]


if __name__ == "__main__":
    answer("langgraph", run)
