"""What prompts of one role have in common is computed once, and changes nothing that is said."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dyntaskmas_nb.llm.embedded.chat import ChatTokenizer
from dyntaskmas_nb.llm.embedded.model import Llama
from dyntaskmas_nb.llm.embedded.prefixes import MARKS, STALE, WORTH, Prefixes
from dyntaskmas_nb.llm.embedded.scheduler import Scheduler
from dyntaskmas_nb.llm.protocol import Chunk, Message, Request

ROLE = "You are the hotel expert of a team; answer in plain words and copy every name as it is written."


def ask(task: str, steps: int | None = 1, role: str = ROLE, prefix: bool = True, **more: object) -> Request:
    return Request(
        messages=(Message(role="system", content=role), Message(role="user", content=task)),
        max_tokens=12,
        session="s",
        prefix_len=60 if prefix else 0,
        steps_to_next_use=steps,
        **more,  # type: ignore[arg-type]
    )


def answers(scheduler: Scheduler, *requests: Request) -> list[tuple[str, Chunk]]:
    said: dict[object, list[Chunk]] = {}
    for key, request in enumerate(requests):
        scheduler.submit(key, request)
    while not scheduler.idle:
        for key, item in scheduler.step():
            assert isinstance(item, Chunk)
            said.setdefault(key, []).append(item)
    return [("".join(chunk.text for chunk in said[key]), said[key][-1]) for key in range(len(requests))]


def test_the_same_words_with_and_without_reuse(tiny_model: Llama, tiny_tokenizer: ChatTokenizer) -> None:
    def requests(prefix: bool) -> list[Request]:
        return [
            ask(f"Task {n}: find it.", prefix=prefix, seed=n, temperature=0.7 * (n % 2)) for n in range(6)
        ]

    fresh = answers(Scheduler(tiny_model, tiny_tokenizer, 3), *requests(False))
    reused = answers(Scheduler(tiny_model, tiny_tokenizer, 3), *requests(True))
    assert [text for text, _ in fresh] == [text for text, _ in reused]
    assert [last.cached_tokens for _, last in fresh] == [0] * 6
    cached = [last.cached_tokens for _, last in reused]
    assert cached[0] == 0
    assert min(cached[1:]) >= 60
    assert [last.prompt_tokens for _, last in fresh] == [last.prompt_tokens for _, last in reused]


def test_what_is_in_common_is_not_computed(
    tiny_model: Llama, tiny_tokenizer: ChatTokenizer, monkeypatch: object
) -> None:
    computed: list[int] = []
    forward: Callable[..., np.ndarray] = Llama._forward

    def counted(self: Llama, tokens: list[list[int]], starts: list[int], slot: int) -> np.ndarray:
        computed.append(len(tokens[0]))
        return forward(self, tokens, starts, slot)

    monkeypatch.setattr(Llama, "_forward", counted)  # type: ignore[attr-defined]
    scheduler = Scheduler(tiny_model, tiny_tokenizer, 1)
    ((_, first),) = answers(scheduler, ask("Task one."))
    assert first.prompt_tokens in computed
    computed.clear()
    ((_, second),) = answers(scheduler, ask("Task two."))
    assert computed[0] == second.prompt_tokens - second.cached_tokens < second.prompt_tokens / 2


def block(tokens: int, size: int = 1) -> np.ndarray:
    return np.zeros((2, 1, 1, tokens, size), np.float32)


def test_short_of_room_the_one_needed_last_goes() -> None:
    prefixes = Prefixes(room=3 * block(40).nbytes)
    for name, steps in ((100, 5), (200, None), (300, 1), (400, 2)):
        prefixes.keep(range(name, name + 40), block(40), steps)
    kept = [name for name in (100, 200, 300, 400) if prefixes.longest(range(name, name + 50))[1]]
    assert kept == [100, 300, 400]
    prefixes.needed(range(300, 350), None)
    prefixes.keep(range(500, 540), block(40), 9)
    assert [n for n in (100, 300, 400, 500) if prefixes.longest(range(n, n + 50))[1]] == [100, 400, 500]


def test_one_larger_than_the_room_is_not_kept() -> None:
    prefixes = Prefixes(room=100)
    prefixes.keep(range(40), block(40), 1)
    assert prefixes.longest(range(50)) == (None, 0)


@given(
    st.lists(st.lists(st.integers(0, 1), min_size=1, max_size=60), max_size=8),
    st.lists(st.integers(0, 1), min_size=1, max_size=60),
)
def test_what_is_found_is_the_longest_common_beginning(kept: list[list[int]], tokens: list[int]) -> None:
    prefixes = Prefixes()
    for one in kept:
        prefixes.keep(one, block(len(one)), 1)

    def common(one: list[int]) -> int:
        same = [a == b for a, b in zip(one, tokens, strict=False)]
        return min(([*same, False]).index(False), len(tokens) - 1)

    longest = max((common(one) for one in kept), default=0)
    cache, size = prefixes.longest(tokens)
    assert size == (longest if longest >= WORTH else 0)
    assert (cache is None) == (size == 0)
    if cache is not None:
        assert cache.shape[3] >= size


def test_what_is_kept_is_what_the_request_says() -> None:
    prefixes, prompt = Prefixes(), list(range(200))
    assert prefixes.size(prompt, 0) == 0
    assert prefixes.size(prompt, WORTH - 1) == 0
    assert prefixes.size(prompt, 50) == 50 + MARKS
    assert prefixes.size(prompt, 500) == 199, "the last token is always computed"
    prefixes.keep(prompt[:58], block(58), 1)
    assert prefixes.size(prompt, 50) == 0, "it is there already"


def test_a_request_says_for_how_long_its_beginning_is_kept(
    tiny_model: Llama, tiny_tokenizer: ChatTokenizer
) -> None:
    scheduler = Scheduler(tiny_model, tiny_tokenizer, 1)
    for steps in (3, 5):
        answers(scheduler, ask("Task one.", steps=steps))
        assert [prefix.steps for prefix in scheduler._prefixes._kept] == [steps]


def test_what_nobody_uses_any_more_gives_way() -> None:
    prefixes = Prefixes(room=2 * block(40).nbytes)
    prefixes.keep(range(100, 140), block(40), 0)  # its run was cancelled
    for _ in range(STALE):
        prefixes.longest(range(900, 950))
    prefixes.keep(range(200, 240), block(40), 5)
    prefixes.keep(range(300, 340), block(40), 5)
    assert [n for n in (100, 200, 300) if prefixes.longest(range(n, n + 50))[1]] == [200, 300]
