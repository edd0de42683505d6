"""Pearce and Kelly's order: valid after every edge, untouched by a cycle, moving no more than it must."""

from __future__ import annotations

from itertools import pairwise

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyntaskmas_nb.core.task import TaskId
from dyntaskmas_nb.dtgg.order import make_room
from dyntaskmas_nb.errors import CycleError

pairs = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=40, unique=True)


class Plain:
    """Ten tasks, the edges so far, and their positions."""

    def __init__(self) -> None:
        self.ids = [str(n) for n in range(10)]
        self.position: dict[TaskId, int] = {id: n * 3 for n, id in enumerate(self.ids)}  # gaps are allowed
        self.pred: dict[TaskId, dict[TaskId, float]] = {id: {} for id in self.ids}
        self.succ: dict[TaskId, dict[TaskId, float]] = {id: {} for id in self.ids}

    def add(self, u: TaskId, v: TaskId) -> None:
        make_room(self.position, self.pred, self.succ, u, v)
        self.succ[u][v] = self.pred[v][u] = 0.0


@given(pairs)
def test_positions_stay_valid_and_cycles_change_nothing(edges: list[tuple[int, int]]) -> None:
    plain, judge = Plain(), nx.DiGraph()
    judge.add_nodes_from(plain.ids)
    places = set(plain.position.values())
    for u, v in ((str(u), str(v)) for u, v in edges):
        before = dict(plain.position)
        closes = u == v or nx.has_path(judge, v, u)
        try:
            plain.add(u, v)
        except CycleError as error:
            cycle = error.cycle
            assert closes
            assert plain.position == before
            walk = list(pairwise(cycle))
            assert cycle[0] == cycle[-1]
            assert (u, v) in walk
            assert all(judge.has_edge(*edge) for edge in walk if edge != (u, v))
            continue
        assert not closes
        judge.add_edge(u, v)
        assert set(plain.position.values()) == places
        assert all(plain.position[a] < plain.position[b] for a, b in judge.edges)
        low, high = sorted((before[u], before[v]))
        moved = [id for id in plain.ids if plain.position[id] != before[id]]
        assert all(low <= before[id] <= high for id in moved), "only tasks between the ends may move"
        if before[u] < before[v]:
            assert not moved, "an edge that agrees with the order costs nothing"


def test_the_order_of_what_moves_is_kept() -> None:
    plain = Plain()
    plain.add("2", "4")
    plain.add("5", "2")  # 5 must come before 2 and 4; 3 is not concerned
    order = sorted(plain.ids, key=plain.position.__getitem__)
    assert order == ["0", "1", "5", "3", "2", "4", "6", "7", "8", "9"]


def test_a_long_cycle_is_named_in_full() -> None:
    plain = Plain()
    for u, v in zip(plain.ids, plain.ids[1:], strict=False):
        plain.add(u, v)
    with pytest.raises(CycleError) as caught:
        plain.add("9", "0")
    assert len(caught.value.cycle) == 11
    assert "…" in str(caught.value)
