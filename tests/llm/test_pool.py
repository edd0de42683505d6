"""Several models as one: who gets a request, who is left out, and that none is lost or asked for twice."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing

import anyio
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from dyntaskmas_nb.errors import (
    BackendError,
    BadRequest,
    ContextOverflow,
    EngineDead,
    InvalidInput,
    OutOfMemory,
    Overloaded,
    Silent,
    Unavailable,
)
from dyntaskmas_nb.kit.kit import Kit
from dyntaskmas_nb.llm.connect import connect
from dyntaskmas_nb.llm.openai_compatible import OpenAICompatible
from dyntaskmas_nb.llm.pool import SESSIONS, Pool
from dyntaskmas_nb.llm.protocol import Caps, Chunk, Message, Request, complete
from dyntaskmas_nb.llm.simulated import Simulated, by_cost


def ask(tag: str = "a", **fields: object) -> Request:
    fields = {"max_tokens": 9, **fields}
    return Request(messages=(Message(role="user", content="Go."),), tag=tag, **fields)  # type: ignore[arg-type]


def virtually(play: Callable[[], object]) -> object:
    return trio.run(play, clock=MockClock(autojump_threshold=0))  # type: ignore[arg-type]


class Member(Simulated):
    """Answers after `cost` seconds and writes down when it was asked what; `down` is from … to."""

    def __init__(
        self, log: list[tuple[str, float, str]], name: str, *down: tuple[float, float], **more: object
    ):
        super().__init__(by_cost(), lambda request: f"{name}: {request.tag}", **more)  # type: ignore[arg-type]
        self.name, self.log, self.down = name, log, down
        self.error: type[BackendError] = Unavailable
        self.delay = 0.0  # before the error
        self.load = self.most = 0

    async def stream(self, request: Request):  # type: ignore[no-untyped-def,override]
        now = anyio.current_time()
        self.log.append((self.name, now, request.tag))
        if any(begin <= now < end for begin, end in self.down):
            await anyio.sleep(self.delay)
            raise self.error(f"{self.name} is down.")
        self.load += 1
        self.most = max(self.most, self.load)
        try:
            async with aclosing(super().stream(request)) as chunks:
                async for chunk in chunks:
                    yield chunk
        finally:
            self.load -= 1


Log = list[tuple[str, float, str]]


def played(pool: Pool, *requests: tuple[float, Request]) -> list[str]:
    """Ask at these times; the answers, or what was raised, in the order of the requests."""
    done = [""] * len(requests)

    async def one(index: int, at: float, request: Request, start: float) -> None:
        await anyio.sleep_until(start + at)
        try:
            done[index] = (await complete(pool, request)).text
        except BackendError as error:
            done[index] = f"{type(error).__name__}: {error}"

    async def play() -> None:
        start = anyio.current_time()
        async with anyio.create_task_group() as tasks:
            for index, (at, request) in enumerate(requests):
                tasks.start_soon(one, index, at, request, start)

    virtually(play)
    return done


def pool_of(*downs: tuple[tuple[float, float], ...], stay: int = 4) -> tuple[Pool, Log]:
    log: Log = []
    return Pool([Member(log, "xyz"[i], *down) for i, down in enumerate(downs)], stay=stay), log


# --- who gets it -------------------------------------------------------------------------------------------


def test_the_least_busy_gets_it_ties_by_position() -> None:
    pool, _ = pool_of((), (), ())
    asked = [(0.0, ask("a", cost=5.0)), (1.0, ask("b", cost=1.5)), (2.0, ask("c", cost=9.0)),
             (3.0, ask("d")), (3.5, ask("e"))]  # fmt: skip
    assert played(pool, *asked) == ["x: a", "y: b", "z: c", "y: d", "x: e"]


def test_at_one_moment_the_higher_priority_is_placed_first_however_they_come() -> None:
    for _ in range(8):
        pool, _ = pool_of((), ())
        asked = [(0.0, ask(tag, priority=float(tag == "c"), cost=3.0)) for tag in "bdac"]
        assert played(pool, *asked) == ["x: b", "y: d", "y: a", "x: c"]


def test_a_session_stays_until_its_member_is_much_busier() -> None:
    pool, _ = pool_of((), (), stay=1)
    first = [(0.0, ask("a", session="s")), (2.0, ask("b", cost=9.0)), (3.0, ask("c", session="t", cost=9.0))]
    asked = [*first, (4.0, ask("d", session="s", cost=9.0)), (5.0, ask("e", session="s", cost=9.0)),
             (6.0, ask("f", session="s", cost=9.0))]  # fmt: skip
    # x has 1, 2 and 3 under way, y 1: two more than elsewhere are too many; then y is its home.
    assert played(pool, *asked) == ["x: a", "x: b", "y: c", "x: d", "x: e", "y: f"]


def test_sessions_are_forgotten_beyond_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    assert SESSIONS >= 1000
    monkeypatch.setattr("dyntaskmas_nb.llm.pool.SESSIONS", 1)
    pool, _ = pool_of((), ())
    begin = [(0.0, ask("a", cost=3.0)), (1.0, ask("b", session="s"))]
    assert played(pool, *begin, (5.0, ask("c", session="t")), (7.0, ask("d", session="s"))) == [
        "x: a", "y: b", "x: c", "x: d",
    ]  # fmt: skip


def test_those_used_last_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dyntaskmas_nb.llm.pool.SESSIONS", 2)
    pool, _ = pool_of((), ())
    begin = [(0.0, ask("a", cost=9.0)), (1.0, ask("b", session="s")), (3.0, ask("c", session="t"))]
    then = [(5.0, ask("d", session="s")), (7.0, ask("e", session="u")), (20.0, ask("f", session="s")),
            (30.0, ask("g", session="t"))]  # fmt: skip
    assert played(pool, *begin, *then) == ["x: a", "y: b", "y: c", "y: d", "y: e", "y: f", "x: g"]


# --- who is left out ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [Unavailable, Overloaded, EngineDead, OutOfMemory])
def test_a_failure_before_the_first_chunk_goes_elsewhere_and_the_pauses_double(
    error: type[BackendError],
) -> None:
    pool, log = pool_of(((0.0, 200.0),), ())
    pool._members[0].error = error  # type: ignore[attr-defined]
    done = played(pool, *((float(at), ask(str(at), cost=0.1)) for at in range(200)))
    assert done == [f"y: {at}" for at in range(200)]
    assert [at for name, at, _ in log if name == "x"] == [0, 1, 3, 7, 15, 31, 63, 123, 183]


def test_one_request_tries_a_member_that_was_down_and_success_shortens_the_pause_again() -> None:
    pool, log = pool_of(((0.0, 0.5), (1.0, 1.5), (6.0, 6.5)), ())
    asked = [(0.0, ask("a")), (1.0, ask("b")), *((3.0, ask(f"c{i}", cost=2.0)) for i in range(4)),
             (6.0, ask("d")), (6.9, ask("e")), (7.0, ask("f"))]  # fmt: skip
    done = played(pool, *asked)
    assert [tag for name, at, tag in log if name == "x" and at == 3.0] == ["c0"]
    assert done == ["y: a", "y: b", "x: c0", "y: c1", "y: c2", "y: c3", "y: d", "y: e", "x: f"]


def test_many_that_fail_together_count_once() -> None:
    pool, log = pool_of(((0.0, 0.5),), ())
    played(pool, *((0.0, ask(f"a{i}")) for i in range(6)), (1.0, ask("b")))
    assert ("x", 1.0, "b") in log


def test_an_answer_from_before_the_failure_does_not_make_it_well() -> None:
    pool, log = pool_of(((1.0, 1.5), (3.0, 3.5)), ())
    asked = [(0.0, ask("long", cost=2.5)), (0.5, ask("other", cost=9.0)), (1.0, ask("b", cost=0.5)),
             (3.0, ask("c", cost=0.5)), (4.5, ask("d")), (5.0, ask("e"))]  # fmt: skip
    played(pool, *asked)
    # The pause after c is of two seconds, since b's failure still counts.
    assert [(at, tag) for name, at, tag in log if name == "x"] == [
        (0.0, "long"),
        (1.0, "b"),
        (3.0, "c"),
        (5.0, "e"),
    ]


def test_one_that_always_breaks_off_is_left_out_longer_and_longer() -> None:
    log: Log = []
    broken = Member(log, "x", faults={(str(at), 1): Unavailable for at in range(20)})
    played(Pool([broken, Member(log, "y")]), *((float(at), ask(str(at), cost=0.5)) for at in range(20)))
    assert [at for name, at, _ in log if name == "x"] == [
        0,
        2,
        5,
        10,
        19,
    ]  # pauses of 1, 2, 4, 8 s after 0.25 s


def test_one_that_fails_late_is_not_asked_again_by_the_same_request() -> None:
    pool, log = pool_of(((0.0, 3.0),), ())
    pool._members[0].delay = 5.0  # type: ignore[attr-defined]
    done = played(pool, *((float(i), ask(f"b{i}", cost=20.0)) for i in range(3)))
    assert done == ["y: b0", "y: b1", "y: b2"]  # b2 fails at 7 s, when x, out since 5 s, may be tried again
    assert [tag for name, _, tag in log if name == "x"] == ["b0", "b2"]


async def leave_at_once(pool: Pool) -> None:
    await anyio.wait_all_tasks_blocked()  # so it comes when those who waited at the desk are just woken
    with anyio.CancelScope() as scope:
        scope.cancel()
        await complete(pool, ask("leaves", cost=50.0))


def test_who_leaves_while_being_placed_leaves_nothing_behind() -> None:
    async def play() -> None:
        pool, _ = pool_of((), ())
        async with anyio.create_task_group() as tasks:
            for index in range(3):
                tasks.start_soon(complete, pool, ask(f"stays{index}"))
                tasks.start_soon(leave_at_once, pool)
        assert [member.load for member in pool._desks.get()._members] == [0, 0]
        assert not pool._desks.get()._arrived

    for _ in range(20):  # trio's order differs each time
        virtually(play)


def test_a_trial_that_is_cancelled_leaves_the_next_one_to_try() -> None:
    pool, log = pool_of(((0.0, 0.5),), ())

    async def play() -> None:
        assert (await complete(pool, ask("a"))).text == "y: a"
        for tag in "bc":
            with anyio.move_on_after(0.5):
                await complete(pool, ask(tag, cost=50.0))
        assert (await complete(pool, ask("d"))).text == "x: d"

    virtually(play)
    assert [tag for name, _, tag in log if name == "x"] == ["a", "b", "c", "d"]


def test_an_answer_that_began_is_never_begun_anew() -> None:
    log: Log = []
    broken = Member(log, "x", faults={("a", 1): Unavailable})
    pool = Pool([broken, Member(log, "y")])
    done = played(pool, (0.0, ask("a")), (0.7, ask("b")))
    assert done[0] == "Unavailable: simulated: Unavailable of a, attempt 1, as scripted."
    assert [(name, tag) for name, _, tag in log] == [("x", "a"), ("y", "b")]


@pytest.mark.parametrize("error", [BadRequest, ContextOverflow])
def test_a_request_that_is_wrong_goes_nowhere_else(error: type[BackendError]) -> None:
    pool, log = pool_of(((0.0, 0.5),), ())
    pool._members[0].error = error  # type: ignore[attr-defined]
    assert played(pool, (0.0, ask("a")), (0.1, ask("b")))[1].startswith(error.__name__)  # x is still asked
    assert {name for name, _, _ in log} == {"x"}


def test_when_all_are_out_the_last_error_is_raised_one_worth_another_try_first() -> None:
    pool, log = pool_of(((0.0, 9.0),), ((0.0, 9.0),))
    pool._members[0].error, pool._members[1].error = Overloaded, EngineDead  # type: ignore[attr-defined]
    pool._members[1].delay = 0.125  # type: ignore[attr-defined]
    done = played(pool, (0.0, ask("a")), (0.25, ask("b")))
    assert (
        done[0]
        == "Overloaded: x is down. None of the pool's 2 models is left; the next one is tried again in 0.9 s."
    )
    assert done[1].endswith("in 0.8 s.")
    assert len(log) == 2


# --- laws --------------------------------------------------------------------------------------------------

requests = st.lists(
    st.tuples(
        st.integers(0, 12),
        st.integers(1, 8),
        st.sampled_from(["", "", "s", "t"]),
        st.sampled_from([None, None, None, 0.0, 0.5, 1.0]),
    ),
    min_size=1,
    max_size=12,
)
downs = st.lists(st.tuples(st.integers(0, 10), st.integers(1, 6)), max_size=2)


@given(requests, st.lists(downs, min_size=1, max_size=3), st.integers(0, 3), st.sampled_from([0.0, 0.5, 4.0]))
def test_every_request_is_answered_once_or_refused_and_nothing_is_left_behind(
    asked: list[tuple[int, int, str, float | None]],
    when: list[list[tuple[int, int]]],
    stay: int,
    delay: float,
) -> None:
    def run() -> tuple[list[str], Log]:
        log: Log = []
        members = [
            Member(log, "xyz"[i], *((begin, begin + size) for begin, size in down))
            for i, down in enumerate(when)
        ]
        for member in members:
            member.delay = delay
        pool = Pool(members, stay=stay)
        done = [""] * len(asked)

        async def one(index: int, start: float) -> None:
            at, cost, session, leave = asked[index]
            await anyio.sleep_until(start + at)
            with anyio.move_on_after(float("inf") if leave is None else leave):
                try:
                    request = ask(f"r{index:02}", cost=cost / 2, session=session)
                    done[index] = (await complete(pool, request)).text
                except Unavailable as error:
                    done[index] = str(error)

        async def play() -> None:
            async with anyio.create_task_group() as tasks:
                for index in range(len(asked)):
                    tasks.start_soon(one, index, anyio.current_time())
            desk = pool._desks.get()
            assert [member.load for member in desk._members] == [0] * len(members)
            assert not any(member.trying for member in desk._members)
            assert not desk._arrived

        virtually(play)
        for index, (_, _, _, leave) in enumerate(asked):
            tag, tried = f"r{index:02}", [name for name, _, tag in log if tag == f"r{index:02}"]
            assert len(set(tried)) == len(tried)  # never twice with one member
            if done[index].endswith(f": {tag}"):
                assert done[index][0] == tried[-1]
            else:
                assert leave is not None or "None of the pool's" in done[index]
        return done, sorted(log)

    assert run() == run()


@given(
    st.lists(st.sampled_from(["", "s", "t"]), min_size=1, max_size=30), st.integers(1, 4), st.integers(0, 3)
)
def test_requests_that_only_come_are_spread_evenly(sessions: list[str], members: int, stay: int) -> None:
    log: Log = []
    pool = Pool([Member(log, "wxyz"[i]) for i in range(members)], stay=stay)
    played(pool, *((0.01 * i, ask(f"{i:02}", session=name, cost=99.0)) for i, name in enumerate(sessions)))
    loads = [one.most for one in pool._members]  # type: ignore[attr-defined]
    assert sum(loads) == len(sessions)
    assert max(loads) - min(loads) <= (stay + 1 if any(sessions) else 1)


# --- what it looks like ------------------------------------------------------------------------------------


class Named(Simulated):
    def __init__(self, name: str, caps: Caps = Simulated.caps) -> None:
        super().__init__()
        self.name, self.caps = name, caps


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["llama at http://a/v1", "llama at http://b/v1"], "llama at http://a/v1, http://b/v1"),
        (["embedded", "embedded"], "2 × embedded"),
        (
            ["llama at http://a/v1", "qwen at http://b/v1"],
            "pool of llama at http://a/v1, qwen at http://b/v1",
        ),
        (["embedded", "embedded", "llama at http://a/v1"], "pool of 2 × embedded, llama at http://a/v1"),
        (["embedded"], "embedded"),
    ],
)
def test_its_name_says_who_is_in_it(names: list[str], said: str) -> None:
    assert Pool([Named(name) for name in names]).name == said


def test_it_can_what_every_member_can() -> None:
    small = Caps(context_window=100, virtual=True, terse=True, hints=frozenset({"session", "priority"}))
    large = Caps(context_window=900, refuses=True, domains=("travel",), hints=frozenset({"session"}))
    pool = Pool([Named("a", small), Named("b", large)])
    assert pool.caps == Caps(
        context_window=100, refuses=True, domains=("travel",), hints=frozenset({"session"})
    )
    assert Pool([Simulated(), Simulated()]).caps.virtual
    assert pool.count_tokens("12345") == 2


async def test_closing_closes_everyone_even_if_one_cannot() -> None:
    class Stuck(Simulated):
        async def aclose(self) -> None:
            raise EngineDead("stuck")

    members = [Simulated(), Stuck(), Simulated()]
    pool = Pool(members)
    with pytest.raises(EngineDead, match="stuck"):
        await pool.aclose()
    for one in (members[0], members[2]):
        with pytest.raises(EngineDead, match="closed"):
            await complete(one, ask())


def test_a_pool_needs_members_and_each_once() -> None:
    one = Simulated()
    for members in ([], [one, one]):
        with pytest.raises(InvalidInput, match="each model once"):
            Pool(members)
    with pytest.raises(InvalidInput, match="stay"):
        Pool([one], stay=-1)


def test_connect_makes_one_of_a_list_or_of_addresses_with_commas() -> None:
    pytest.importorskip("openai", reason="needs dyntaskmas_nb[openai]")
    for given_ in (["http://a/v1#m,n", "http://b/v1#m,n"], "http://a/v1#m,n, http://b/v1#m,n"):
        pool = connect(given_)
        assert isinstance(pool, Pool)
        assert pool.name == "m,n at http://a/v1, http://b/v1"
        assert all(isinstance(one, OpenAICompatible) for one in pool._members)
    assert connect("simulated:lognormal:1,0.5").name == "simulated"
    assert connect(("simulated", "simulated:lognormal:1,0.5")).name == "2 × simulated"
    with pytest.raises(InvalidInput, match="each model once"):
        connect([])
    with pytest.raises(InvalidInput, match="'gpt' is no model"):
        connect(["http://a/v1", "gpt"])


def test_a_kit_takes_a_list_of_models() -> None:
    with Kit(model=["simulated", "simulated"], home=None, clock="virtual") as kit:  # type: ignore[arg-type]
        assert "2 × simulated" in repr(kit)
        plan = {"subtasks": [{"id": "a"}, {"id": "b", "depends_on": ["a"]}]}
        run = kit.start(plan)
        assert run.result() is not None
        assert run.status == "done"


def test_a_silent_member_is_left_and_its_session_with_it() -> None:
    class Quiet(Simulated):
        async def stream(self, request: Request):  # type: ignore[no-untyped-def,override]
            await anyio.sleep(1)
            raise Silent("said nothing")
            yield Chunk(text="")

    pool = Pool([Quiet(), Simulated(by_cost(), lambda _: "good")])
    requests = [(float(at), ask(f"t{at}", max_tokens=5, session="s")) for at in (0, 5, 10)]
    assert played(pool, *requests) == ["good"] * 3
