"""The paper's tables: the printed figures are the paper's, the others are labelled and what they say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from statistics import fmean

import pytest

from dyntaskmas_nb.apee.simulate import simulate
from dyntaskmas_nb.cli.main import main
from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.kit import paper_tables
from dyntaskmas_nb.kit.paper_plans import layered, travel, with_barriers
from dyntaskmas_nb.kit.paper_tables import GRAPHS, SERIAL, SIZES, Table, table
from dyntaskmas_nb.kit.paper_trials import AGENTS, latency, makespan, overhead_for, scaling, with_llama

AWM = ("looks of the AWM", "changes it made")


@pytest.fixture(scope="module")
def quick() -> dict[int, Table]:
    return {number: table(number, measure=False) for number in (1, 2, 3)}


def sets() -> list[list[TaskGraph]]:
    return [[layered(n, seed, t) for seed in range(GRAPHS)] for n, t in zip(SIZES, SERIAL, strict=True)]


# --- printed ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "figure", "values"),
    [
        (1, "serial, s", (4.7, 9.8, 18.5)),
        (1, "DynTaskMAS, s", (3.7, 7.1, 12.4)),
        (1, "gain, %", (21.3, 27.6, 33.0)),
        (2, "throughput, tasks/s", (12.3, 23.1, 42.7, 76.4, None, None)),
        (2, "latency of a call, ms", (81.3, 86.5, 93.8, 104.2, None, None)),
        (3, "end to end, s", (4.7, None, 3.7)),
        (3, "coordination, ms", (850, None, 320)),
        (3, "context switches", (42, None, 18)),
        (3, "utilisation, %", (65, None, 88)),
    ],
)
def test_printed_figures_are_those_of_the_paper(quick, number, figure, values):
    assert quick[number].values(figure, "printed") == values


def test_printed_gains_follow_from_the_printed_seconds(quick):
    gains = paper_tables.gain(quick[1].values("DynTaskMAS, s", "printed"), SERIAL)
    assert gains == pytest.approx(quick[1].values("gain, %", "printed"), abs=0.06)


# --- labels -------------------------------------------------------------------------------------------------


def test_every_figure_says_what_kind_it_is(quick):
    for one in quick.values():
        assert {row.kind for row in one.rows} == {"printed", "calibrated"}
        assert len({(row.figure, row.kind) for row in one.rows}) == len(one.rows)
        assert all(len(row.values) == len(one.columns) for row in one.rows)
        lines = str(one).splitlines()[3 : 3 + len(one.rows)]
        assert all(row.kind in line for row, line in zip(one.rows, lines, strict=True))
        assert one.notes[0].startswith("Calibrated: ")
        assert "Measured" not in str(one)


def test_nothing_is_said_to_be_reproduced(quick):
    words = "".join(map(str, quick.values())).casefold()
    assert "reprod" not in words
    assert "replic" not in words


@pytest.mark.parametrize(
    ("number", "figures"),
    [
        (1, {"serial, s", "upward rank, s", "gain, %", "or tasks take, times as long"}),
        (
            2,
            {
                "throughput, tasks/s",
                "latency of a call, ms",
                "throughput × latency ÷ N",
                "% of the calibrated",
            },
        ),
        (3, {figure for figure, *_ in paper_tables.TRAVEL} | {"coordination a task, ms", *AWM}),
    ],
)
def test_measured_figures_stand_beside_the_others(monkeypatch, number, figures):
    small = {"SIZES": (7,), "GRAPHS": 1, "AGENT_COUNTS": (4, 8)}
    small |= {name: getattr(paper_tables, name)[:1] for name in ("SERIAL", "PARALLEL", "GAIN")}
    small |= {name: getattr(paper_tables, name)[:2] for name in ("THROUGHPUT", "LATENCY")}
    for name, value in small.items():
        monkeypatch.setattr(paper_tables, name, value)
    measured = {row.figure: row.values for row in table(number).rows if row.kind == "measured"}
    assert set(measured) == figures
    assert all(value is not None for values in measured.values() for value in values)


# --- Table I ------------------------------------------------------------------------------------------------


def test_serial_time_is_scaled_to_what_is_printed():
    for graphs, size, serial in zip(sets(), SIZES, SERIAL, strict=True):
        assert {len(graph) for graph in graphs} == {size}
        assert [simulate(graph, 1).makespan for graph in graphs] == pytest.approx([serial] * GRAPHS)
        assert len({str(graph.to_plan()) for graph in graphs}) == GRAPHS


def test_the_rules_come_in_the_order_that_theory_has(quick):
    rules = ("lower bound, s", "upward rank, s", "FIFO, s", "level barrier, s")
    bound, rank, fifo, barrier = (quick[1].values(rule, "calibrated") for rule in rules)
    for column, serial in enumerate(SERIAL):
        assert bound[column] <= rank[column] < fifo[column] < barrier[column] < serial
    assert quick[1].values("gain, %", "calibrated") == pytest.approx(
        [100 * (1 - a / b) for a, b in zip(rank, SERIAL, strict=True)]
    )


def test_the_overhead_explains_the_printed_gain(quick):
    extra = quick[1].values("overhead a task, s", "calibrated")
    for graphs, serial, more, printed in zip(sets(), SERIAL, extra, (21.3, 27.6, 33.0), strict=True):
        slow = [
            simulate(graph, AGENTS, duration=lambda task, _, more=more: task.complexity + more).makespan
            for graph in graphs
        ]
        assert 100 * (1 - fmean(slow) / serial) == pytest.approx(printed, abs=0.06)
        assert more > 0
    explained = quick[1].values("gain with that overhead, %", "calibrated")
    assert explained == pytest.approx((21.3, 27.6, 33.0), abs=0.06)


def test_no_overhead_is_found_where_none_is_needed():
    graphs = sets()[0]
    assert overhead_for(makespan(graphs) / 2, graphs) == pytest.approx(0, abs=1e-6)


def test_a_level_waits_for_all_of_the_level_before():
    plan = {
        "subtasks": [
            {"id": "short", "complexity": 1},
            {"id": "long", "complexity": 9},
            {"id": "after", "complexity": 1, "depends_on": ["short"]},
            {"id": "last", "complexity": 1, "depends_on": ["after"]},
        ]
    }
    graph = TaskGraph.from_plan(plan)
    assert simulate(graph, 2).makespan == 9
    assert simulate(with_barriers(graph), 2, "fifo").makespan == 11


# --- Table II -----------------------------------------------------------------------------------------------


def test_the_curve_fits_the_printed_latencies():
    for agents, printed in {4: 81.3, 8: 86.5, 16: 93.8, 32: 104.2}.items():
        assert 1000 * latency(agents) == pytest.approx(printed, abs=0.02)


def test_throughput_times_latency_is_a_quarter_of_the_agents(quick):
    for kind in ("printed", "calibrated"):
        known = [value for value in quick[2].values("throughput × latency ÷ N", kind) if value is not None]
        assert known == pytest.approx([0.25] * len(known), rel=0.01)


def test_real_time_is_never_ahead_of_virtual_time():
    virtual, real = scaling(4, "virtual"), scaling(4, "real")
    assert virtual[0] == pytest.approx(1 / latency(4))
    assert real[0] <= virtual[0] * 1.001
    assert real[1] >= virtual[1] * 0.999


# --- Table III ----------------------------------------------------------------------------------------------


def test_the_travel_system_has_seven_roles_and_a_dozen_tasks(quick):
    graph = travel()
    assert len({task.role for task in graph.tasks.values()}) == 7
    assert len(graph) == 12
    assert graph.sinks() == ["itinerary"]
    seconds = quick[3].values("end to end, s", "calibrated")
    assert seconds[0] == pytest.approx(4.7)
    assert max(seconds[1:]) < 4.7
    assert quick[3].values("coordination, ms", "calibrated")[0] == 0


def test_the_awm_looks_in_its_own_column_only(quick):
    looks, changes = (quick[3].values(figure, "calibrated") for figure in AWM)
    assert looks[:2] == changes[:2] == (0, 0)
    assert changes[2] <= looks[2]
    assert ("never looked" in str(quick[3])) == (looks[2] == 0)


def test_the_embedded_llama_knows_every_task_of_the_layered_graphs():
    alone, together, stretch = with_llama(layered(7, 0, 4.7))
    assert min(alone, together, stretch) > 0


# --- the command --------------------------------------------------------------------------------------------


def command(*arguments, seed="0"):
    return subprocess.run(
        [sys.executable, "-m", "dyntaskmas_nb.cli", "paper-tables", *arguments],
        env=os.environ | {"PYTHONHASHSEED": seed},
        check=False,
        capture_output=True,
        timeout=100,
    )


def test_printed_and_calibrated_figures_are_the_same_in_every_process():
    first, second = (command("--quick", seed=seed) for seed in ("1", "2"))
    assert first.returncode == 0, first.stderr
    assert first.stdout == second.stdout
    for name in ("Table I:", "Table II:", "Table III:"):
        assert name in first.stdout.decode()


def test_json_holds_what_the_text_shows(quick, capfd):
    assert main(["paper-tables", "--quick", "--json", "--table", "1"]) == 0
    (found,) = json.loads(capfd.readouterr().out)
    assert found["number"] == 1
    assert found["columns"] == list(quick[1].columns)
    rows = [(row["figure"], row["kind"], tuple(row["values"])) for row in found["rows"]]
    assert rows == [(row.figure, row.kind, row.values) for row in quick[1].rows]


@pytest.mark.parametrize("number", ["0", "4", "-1", "two"])
def test_another_table_is_refused_in_one_line(number):
    done = command("--table", number)
    assert done.returncode == 2
    assert done.stdout == b""
    assert len(done.stderr.decode().splitlines()) == 1
