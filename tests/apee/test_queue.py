"""Alg. 2's queue against a sorted list; the locks against their definition."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dyntaskmas_nb.apee.locks import Locks
from dyntaskmas_nb.apee.queue import ReadyQueue
from dyntaskmas_nb.core.task import Resource, Task
from tests.strategies import NAMES, ROLES, resources

moves = st.lists(
    st.one_of(
        st.tuples(st.just("push"), st.sampled_from(NAMES), st.sampled_from(ROLES), st.integers(0, 3)),
        st.tuples(st.just("discard"), st.sampled_from(NAMES), st.just(""), st.just(0)),
        st.tuples(st.just("pop"), st.just(""), st.sampled_from(ROLES), st.just(0)),
    ),
    max_size=40,
)


@given(moves)
def test_the_queue_serves_best_first_by_role(steps: list[tuple[str, str, str, int]]) -> None:
    queue, model, order = ReadyQueue(), dict[str, tuple[str, tuple[int, int, str]]](), 0
    for what, id, role, priority in steps:
        waiting = sorted(entry for r, entry in model.values() if r == role)
        if what == "push":
            order += 1
            queue.push(id, role, priority, order)
            model[id] = (role, (-priority, order, id))
        elif what == "discard":
            queue.discard(id)
            model.pop(id, None)
        elif waiting:
            assert queue.first(role) == waiting[0]
            assert queue.pop(role) == waiting[0][2]
            del model[waiting[0][2]]
        else:
            assert queue.first(role) is None
        assert len(queue) == len(model)
        assert all((id in queue) == (id in model) for id in NAMES)
        assert sorted((queue.first(role), role) for role in queue.roles() if queue.first(role)) == sorted(
            (min(entry for r, entry in model.values() if r == role), role)
            for role in {role for role, _ in model.values()}
        )


def test_equal_priorities_are_served_in_order_of_becoming_ready() -> None:
    queue = ReadyQueue()
    for order, id in enumerate(["z", "a", "m"]):
        queue.push(id, "cook", 1.0, order)
    assert [queue.pop("cook") for _ in range(3)] == ["z", "a", "m"]


def test_a_task_pushed_back_as_it_was_comes_out_once() -> None:
    queue = ReadyQueue()
    queue.push("a", "cook", 1.0, 1)
    queue.push("a", "cook", 2.0, 1)
    queue.push("a", "cook", 1.0, 1)
    assert queue.pop("cook") == "a"
    assert queue.first("cook") is None
    assert not any(map(queue.first, queue.roles()))


@given(st.lists(st.tuples(st.sampled_from(NAMES), resources), max_size=30))
def test_locks_let_in_sharers_or_one_alone(steps: list[tuple[str, tuple[Resource, ...]]]) -> None:
    locks, held = Locks(), dict[str, Task]()
    for id, wanted in steps:
        if id in held:
            locks.release(held.pop(id))
            continue
        task = Task(id=id, resources=wanted)
        taken = [resource for other in held.values() for resource in other.resources]
        free = all(
            mine.key != other.key or not (mine.exclusive or other.exclusive)
            for mine in wanted
            for other in taken
        )
        assert locks.available(task) == free
        if free:
            locks.take(task)
            held[id] = task
    for task in held.values():
        locks.release(task)
    assert locks.available(Task(id="all", resources=(Resource(key="P"), Resource(key="Q"))))
