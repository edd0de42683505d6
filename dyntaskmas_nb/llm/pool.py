"""Several models as one: servers, or GPUs with an engine each. Knows of them only that they are backends.

Who gets a request. Of the members that are well, the one with the fewest requests under way, ties by
position. A session stays where it was last, since that member has its prefix, unless it has over `stay` more
requests under way than the least busy one: then it moves there.

Who is well. A member that raised `Unavailable`, `Overloaded`, `EngineDead` or `Silent` is left out for a
second, twice as long each time up to a minute; then one request tries it. It is well again when it begins to
answer, and its next pause is short again when an answer is whole.

A request that fails so before its first chunk goes to another member, to each at most once. After its first
chunk it does not: what was said cannot be taken back. When nobody is left the last error is raised, one after
which another try may succeed before others.

Times on different clocks do not compare, hence every event loop counts by itself, as in `limits`; on the
virtual clock those who arrive at one moment are placed in a fixed order.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from functools import reduce
from itertools import groupby

import anyio
from anyio.lowlevel import RunVar, current_token

from dyntaskmas_nb.core.task import check_count
from dyntaskmas_nb.errors import BackendError, EngineDead, InvalidInput, Overloaded, Silent, Unavailable
from dyntaskmas_nb.llm.protocol import Backend, Caps, Chunk, Request, guarded

ILL = (Unavailable, Overloaded, EngineDead, Silent)
"""What says that a member, not the request, is the reason. `OutOfMemory` is an `Overloaded`."""

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  # seconds
SESSIONS = 10_000
"""Sessions remembered, the latest used; a forgotten one is placed like a new one."""


class Pool:
    """The `backends` as one `Backend`; closing it closes them.

    `stay`: how many more requests under way than elsewhere a session puts up with before it moves. Raises
    `InvalidInput` without backends, or with one twice.
    """

    def __init__(self, backends: Sequence[Backend], *, stay: int = 4) -> None:
        check_count(stay, "stay", least=0)
        self._members = tuple(backends)
        self._stay = stay
        if not self._members or len({id(one) for one in self._members}) < len(self._members):
            raise InvalidInput("A pool takes at least one model, and each model once.")
        self.count_tokens = self._members[0].count_tokens
        self._desks: RunVar[_Desk] = RunVar("desk")

    @property
    def name(self) -> str:
        """The members' names: "llama at http://one, http://two", "2 × embedded", "pool of a, b"."""
        names = [one.name for one in self._members]
        models = {name.partition(" at ")[0] for name in names}
        if len(models) == 1 and all(" at " in name for name in names):
            return f"{models.pop()} at {', '.join(name.partition(' at ')[2] for name in names)}"
        counted = [(name, len(list(same))) for name, same in groupby(names)]
        said = ", ".join(name if times == 1 else f"{times} × {name}" for name, times in counted)
        return said if len(counted) == 1 else f"pool of {said}"

    @property
    def caps(self) -> Caps:
        """What every member can do."""
        caps = [one.caps for one in self._members]
        return Caps(
            context_window=min(one.context_window for one in caps),
            virtual=all(one.virtual for one in caps),
            terse=all(one.terse for one in caps),
            refuses=any(one.refuses for one in caps),
            domains=next((one.domains for one in caps if one.refuses), ()),
            hints=reduce(frozenset.intersection, (one.hints for one in caps)),
            warms=any(one.warms for one in caps),
        )

    @guarded
    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """Yield the answer of one member; closing the iterator closes that member's.

        Raises what the members raise, as told above.
        """
        desk = self._desks.get(None) or _Desk(len(self._members), self._stay)
        self._desks.set(desk)
        tried: set[int] = set()
        while True:
            place = await desk.take(request, tried)
            begun = False
            try:
                async with aclosing(self._members[place.index].stream(request)) as chunks:
                    async for chunk in chunks:
                        begun = True
                        desk.answers(place, whole=chunk.finish is not None)
                        yield chunk
                return
            except ILL as error:
                desk.failed(place, error)
                tried.add(place.index)
                if begun:
                    raise
            finally:
                desk.give_back(place)

    async def aclose(self) -> None:
        """Close all members, the others too where closing one fails; later calls raise `EngineDead`."""
        async with AsyncExitStack() as closing:
            for one in self._members:
                closing.push_async_callback(one.aclose)


@dataclass(slots=True, eq=False)
class _Member:
    """`out`: when it may be tried again, None while it is well; `trying`: a request is finding out."""

    load: int = 0
    failures: int = 0
    out: float | None = None
    trying: bool = False
    error: BackendError | None = None
    failed_at: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """With which member a request is; `trial`: it finds out whether that one is well again."""

    index: int
    trial: bool


@dataclass(slots=True, eq=False)
class _Arrival:
    """A request that stands at the desk; `sent` is where to, or why nowhere."""

    rank: tuple[float, str, int, int, int]
    request: Request
    tried: Collection[int]
    sent: _Place | BackendError | None = None


class _Desk:
    """Who goes where, on one event loop."""

    def __init__(self, members: int, stay: int) -> None:
        self._members = [_Member() for _ in range(members)]
        self._stay = stay
        self._homes: OrderedDict[str, int] = OrderedDict()
        self._arrived: list[_Arrival] = []
        self._count = 0
        self._virtual = not isinstance(current_token().native_token, asyncio.AbstractEventLoop)

    async def take(self, request: Request, tried: Collection[int]) -> _Place:
        """A place for `request` with a member not yet `tried`, to be given back; raises if none is left."""
        self._count += 1
        rank = (-request.priority, request.tag, request.attempt, request.seed, self._count)
        arrival = _Arrival(rank, request, tried)
        self._arrived.append(arrival)
        try:
            if self._virtual:  # trio's order within a moment is random: let everybody arrive
                await anyio.wait_all_tasks_blocked()
        except BaseException:
            if arrival.sent is None:
                self._arrived.remove(arrival)
            elif isinstance(arrival.sent, _Place):  # by another that was woken first
                self.give_back(arrival.sent)
            raise
        if arrival.sent is None:
            for one in sorted(self._arrived, key=_rank):
                one.sent = self._send(one.request, one.tried)
            self._arrived.clear()
        if isinstance(arrival.sent, _Place):
            return arrival.sent
        assert arrival.sent is not None
        raise arrival.sent

    def answers(self, place: _Place, *, whole: bool) -> None:
        """A chunk came, the last one if `whole`."""
        member = self._members[place.index]
        if place.trial:
            member.out = None
        if whole and member.out is None:
            member.failures = 0

    def failed(self, place: _Place, error: BackendError) -> None:
        """The member failed; of many requests that fail with it only the first one counts."""
        member = self._members[place.index]
        member.error, member.failed_at = error, anyio.current_time()
        if isinstance(error, ILL) and (member.out is None or place.trial):
            pause = min(FIRST_PAUSE * 2 ** min(member.failures, 10), LONGEST_PAUSE)
            member.out = member.failed_at + pause
            member.failures += 1

    def give_back(self, place: _Place) -> None:
        """The request is over."""
        member = self._members[place.index]
        member.load -= 1
        if place.trial:
            member.trying = False

    def _send(self, request: Request, tried: Collection[int]) -> _Place | BackendError:
        now = anyio.current_time()
        open_ = [
            index
            for index, one in enumerate(self._members)
            if index not in tried and (one.out is None or (one.out <= now and not one.trying))
        ]
        if not open_:
            return self._nobody(now)
        index = min(open_, key=lambda index: self._members[index].load)
        home = self._homes.get(request.session)
        if home in open_ and self._members[home].load <= self._members[index].load + self._stay:
            index = home
        if request.session:
            self._homes[request.session] = index
            self._homes.move_to_end(request.session)
            if len(self._homes) > SESSIONS:
                self._homes.popitem(last=False)
        member = self._members[index]
        place = _Place(index=index, trial=member.out is not None)
        member.load += 1
        member.trying = member.trying or place.trial
        return place

    def _nobody(self, now: float) -> BackendError:
        """The last error, as a new one: others got the old one."""
        failed = [(one.error.retryable, one.failed_at, one.error) for one in self._members if one.error]
        error = max(failed, key=lambda entry: entry[:2])[2]
        again = min((one.out for one in self._members if one.out is not None), default=now)
        return type(error)(
            f"{error} None of the pool's {len(self._members)} models is left; "
            f"the next one is tried again in {max(again - now, 0):.1f} s."
        )


def _rank(arrival: _Arrival) -> tuple[float, str, int, int, int]:
    return arrival.rank
