"""Eq. 3, W = α·C(v_j) + β·I(v_i, v_j): both readings against numbers worked by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.settings import Settings
from dyntaskmas_nb.core.task import Task
from dyntaskmas_nb.dtgg.weights import Coefficients, coefficients, edge_weight, edge_weights
from tests.strategies import graphs

GRAPH = TaskGraph.of([Task(id="a", complexity=7), Task(id="b", complexity=3)], [("a", "b", 4.0)])


@pytest.mark.parametrize(
    ("t_c", "t_t", "printed", "weight"),
    [
        (1.0, 1.0, False, 7.0),  # 1·3 + 1·4
        (2.0, 0.5, False, 8.0),  # 2·3 s + 0.5·4 s: in seconds
        (1.0, 1.0, True, 7.0),  # α = β = 1
        (2.0, 1.0, True, 7.0),  # α = ½, β = 1, ratio ½: C = 6 s, I = 4 s, ½·6 + 1·4
        (4.0, 1.0, True, 5.0),  # α = ¼, β = 1 → ½ (ratio ½): ¼·12 + ½·4
        (1.0, 2.0, True, 7.0),  # α = 1, β = ½, ratio 2: 1·3 + ½·8
        (1.0, 10.0, True, 23.0),  # α = 1, β = 0.1 → ½ (ratio 2): 1·3 + ½·40
    ],
)
def test_by_hand(t_c: float, t_t: float, printed: bool, weight: float) -> None:
    settings = Settings(seconds_per_unit=t_c, seconds_per_information=t_t, as_printed=printed)
    assert edge_weight(GRAPH, "a", "b", settings) == weight
    assert edge_weights(GRAPH, settings) == {("a", "b"): weight}


@given(st.floats(1e-6, 1e6), st.floats(1e-6, 1e6))
def test_as_printed_keeps_the_ratio_in_its_band(t_c: float, t_t: float) -> None:
    c = coefficients(Settings(seconds_per_unit=t_c, seconds_per_information=t_t, as_printed=True))
    assert c.alpha == pytest.approx(1.0), "α = 1/T_c applied to times T_c·C"
    ratio = (c.alpha / t_c) / (c.beta / t_t)
    assert 0.5 * (1 - 1e-9) <= ratio <= 2 * (1 + 1e-9)
    if 0.5 <= t_t / t_c <= 2:
        assert c.beta == pytest.approx(1.0), "β moves only when the ratio leaves the band"


@given(graphs())
def test_every_weight_is_that_of_its_edge(graph: TaskGraph) -> None:
    settings = Settings(seconds_per_unit=2.0, seconds_per_information=0.25)
    weights = edge_weights(graph, settings)
    assert weights == {(u, v): 2 * graph[v].complexity + i / 4 for u, v, i in graph.dependencies()}
    assert all(edge_weight(graph, u, v, settings) == w for (u, v), w in weights.items())


def test_sound_coefficients_are_seconds() -> None:
    expected = Coefficients(alpha=3.0, beta=0.5)
    assert coefficients(Settings(seconds_per_unit=3.0, seconds_per_information=0.5)) == expected
