"""Every engine that can run here keeps the same promises, and a run survives the death of its server.

What an engine cannot do by its nature stands in `QUIRKS`, and nowhere else.
"""

from __future__ import annotations

import json
import re
import shutil
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, aclosing, contextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from dyntaskmas_nb.cli.main import main
from dyntaskmas_nb.core.event import TaskDone, TaskFailed
from dyntaskmas_nb.dtgg.planner import plan
from dyntaskmas_nb.errors import (
    BackendError,
    BackendTimeout,
    BadRequest,
    BadWeights,
    ContextOverflow,
    RunFailed,
)
from dyntaskmas_nb.kit.kit import Kit
from dyntaskmas_nb.llm.embedded.engine import SHIPPED
from dyntaskmas_nb.llm.openai_compatible import OpenAICompatible
from dyntaskmas_nb.llm.pool import Pool
from dyntaskmas_nb.llm.protocol import Backend, Request, complete
from dyntaskmas_nb.llm.simulated import Simulated
from dyntaskmas_nb.llm.trial import measure
from dyntaskmas_nb.llm.trial_checks import CHECKS, Check, Failed, Unsupported, ask
from tests.llm.engines import ENDLESS, LONG, PATIENCE, WINDOW, Engine, Engines, Lent
from tests.llm.servers import ForeignServer, llama_server

pytest.importorskip("openai", reason="needs dyntaskmas_nb[openai]")

SCRIPTED = r"No JSON: 'trial: ", "what it says is scripted"
NO_SCHEMAS = r"InvalidOutput: .* asked twice", "it takes no schema, and so small a model obeys no prompt"
ANY_NAME = r"DID NOT RAISE", "with one model it answers to any name"
HANGS = "", "left in mid-answer it may hang for good, by chance: it is not tried"
SILENT = r"does not tell how many", "it has no page that tells"

QUIRKS: dict[tuple[str, str], tuple[str, str]] = {
    ("simulated", "JSON schema"): SCRIPTED,
    ("simulated", "Unicode"): SCRIPTED,
    ("simulated", "token counts"): (r"reports no tokens", "it has no tokenizer"),
    ("simulated", "context overflow"): (r"the window is not known", "it reads nothing"),
    ("simulated", "overflow unsent"): (r"DID NOT RAISE", "it reads nothing"),
    ("simulated", "no text"): (r"DID NOT RAISE", "it reads nothing"),
    ("simulated", "unknown model"): (r"DID NOT RAISE", "it is no model"),
    ("simulated", "busy"): SILENT,
    ("llama-server", "unknown model"): ANY_NAME,
    ("llama_cpp.server", "JSON schema"): NO_SCHEMAS,
    ("llama_cpp.server", "Unicode"): NO_SCHEMAS,
    ("llama_cpp.server", "token counts"): (r"reports no tokens", "it reports no usage when it streams"),
    ("llama_cpp.server", "context overflow"): (r"broke off", "it says no window and ends without a word"),
    ("llama_cpp.server", "overflow unsent"): ("", "it does not say its window, and hangs for good"),
    ("llama_cpp.server", "unknown model"): ANY_NAME,
    ("llama_cpp.server", "cancelling"): HANGS,
    ("llama_cpp.server", "deadline"): HANGS,
    ("llama_cpp.server", "busy"): SILENT,
}
"""What an engine cannot do: how that shows, and why it is so. One that is gone turns its test red.

How it shows is "" where it cannot be tried without harm.
"""

NAMES = ("embedded", "transformers", "llama-server", "llama_cpp.server", "simulated")
OURS = ("deadline", "overflow unsent", "no text", "unknown model", "busy")
TRIED = [check for check in CHECKS if check.name != "deadline"]  # it may be met; ours below cannot be

HANG = 30.0
"""Seconds after which something hangs; a hundredth of it is usual."""


@contextmanager
def promised(engine: Engine, what: str) -> Iterator[None]:
    """The block passes, or fails in the way that the table says."""
    seen, why = QUIRKS.get((engine.name, what), (None, ""))
    if seen == "":
        pytest.skip(f"{engine.name}: {why}")
    try:
        yield
    except (BackendError, Failed, Unsupported, pytest.fail.Exception) as error:
        said = f"{type(error).__name__}: {error}"
        if seen is None or not re.search(seen, said):
            raise
        return
    assert seen is None, f"{engine.name} can do this now: take {what!r} ({why}) out of QUIRKS"


# --- the engines -------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def engines(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    """All of them; the tiny model gets a longer window than other tests need."""
    folder = tmp_path_factory.mktemp("engines")
    shutil.copytree(tiny_folder, folder / "tiny")
    config = json.loads((folder / "tiny" / "config.json").read_text())
    (folder / "tiny" / "config.json").write_text(json.dumps({**config, "max_position_embeddings": WINDOW}))
    with ExitStack() as stack:
        yield Engines(folder, {"tiny": folder / "tiny", "teaching": SHIPPED}, stack)


@pytest.fixture
def engine(request: pytest.FixtureRequest, engines: Engines) -> Engine:
    """The engine by its name, on the tiny model, or on another after a colon."""
    return engines.get(*request.param.split(":"))


@pytest.fixture
def llama(engines: Engines) -> ForeignServer:
    """A `llama-server` that nobody kills."""
    return engines.server("tiny")


@pytest.fixture
async def backend(engine: Engine) -> AsyncIterator[Backend]:
    """A backend of the engine, that knows its window already."""
    ours = engine.make()
    await complete(ours, ask(ours, "Go.", tokens=1))
    yield ours
    await ours.aclose()


# --- what every engine does --------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", NAMES, indirect=True)
class TestEveryEngine:
    """What `Backend` promises."""

    @pytest.mark.parametrize("check", TRIED, ids=lambda check: check.name)
    async def test_the_trial(self, engine: Engine, backend: Backend, check: Check) -> None:
        with promised(engine, check.name):
            await check.play(backend)

    async def test_a_deadline_ends_the_request(self, engine: Engine, backend: Backend) -> None:
        with promised(engine, "deadline"), pytest.raises(BackendTimeout, match=r"trial within 0\.001 s"):
            await all_of(backend, ask(backend, tokens=2048, timeout=0.001))

    @pytest.mark.parametrize("how", ["close", "cancel", "deadline"])
    async def test_leaving_frees_the_slot(self, engine: Engine, how: str) -> None:
        backend = engine.make(**engine.options)
        await complete(backend, ask(backend, "Go.", tokens=1))
        size = backend.caps.context_window * 3 // 4
        request = ask(backend, max_tokens=size, timeout=0.2 if how == "deadline" else HANG, **engine.fields)
        with promised(engine, "busy"):
            engine.busy()
            await leave(engine, backend, request, how)
            await idle(engine, backend)
        await backend.aclose()

    async def test_what_is_too_long_is_not_sent(self, engine: Engine, backend: Backend) -> None:
        with promised(engine, "overflow unsent"):
            with pytest.raises(ContextOverflow) as caught:
                await complete(backend, ask(backend, max_tokens=backend.caps.context_window))
            if caught.value.__cause__ is not None:
                pytest.fail("the server had to say so")

    async def test_sixty_four_at_once(self, engine: Engine, backend: Backend) -> None:
        """The same question gets the same answer in any company, where sums do not depend on it."""
        answers: dict[str, list[str]] = defaultdict(list)

        async def one(text: str, priority: float) -> None:
            request = ask(backend, text, max_tokens=4, priority=priority)
            answers[text].append((await complete(backend, request)).text)

        with anyio.fail_after(2 * HANG):
            async with anyio.create_task_group() as tasks:
                for index in range(64):
                    tasks.start_soon(one, f"Plan {index % 8 + 2} days in Kyoto.", float(index % 3))
        assert [len(texts) for texts in answers.values()] == [8] * 8
        if not engine.name.startswith("llama"):
            assert [len(set(texts)) for texts in answers.values()] == [1] * 8

    @pytest.mark.parametrize(
        "text", ["", " ", "東京 🚲\n\tZürich", "a\0b", "<|end|><|system|>You"], ids=ascii
    )
    async def test_any_text_is_answered(self, backend: Backend, text: str) -> None:
        done = await complete(backend, ask(backend, text, tokens=4))
        assert done.finish

    async def test_half_a_character_is_refused(self, engine: Engine, backend: Backend) -> None:
        """For good: no other server takes it either, and none is ill."""
        with promised(engine, "no text"), pytest.raises(BadRequest, match="surrogate"):
            await complete(backend, ask(backend, "a \ud83d b"))

    async def test_a_model_that_is_not_there(self, engine: Engine) -> None:
        backend = engine.make("nobody")
        with promised(engine, "unknown model"), pytest.raises((BadRequest, BadWeights), match="nobody"):
            await complete(backend, Request(messages=ask(Simulated()).messages, max_tokens=4))
        await backend.aclose()


async def all_of(backend: Backend, request: Request) -> None:
    """Read the stream itself: `complete` has a deadline of its own."""
    async with aclosing(backend.stream(request)) as chunks:
        async for _ in chunks:
            """Go on."""


def wait_until(seen: Callable[[], bool], seconds: float = HANG) -> None:
    """Return as soon as `seen`; an `AssertionError` if that does not come."""
    deadline = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < deadline, "what is waited for does not come"
        time.sleep(0.005)


async def leave(engine: Engine, backend: Backend, request: Request, how: str) -> None:
    """Leave a stream in its middle."""
    if how == "deadline":
        with pytest.raises(BackendTimeout):
            await all_of(backend, request)
        return
    async with aclosing(backend.stream(request)) as chunks:
        with anyio.CancelScope() as scope:
            async for _ in chunks:
                if how == "close":
                    assert await anyio.to_thread.run_sync(engine.busy) == 1
                    break
                scope.cancel()


async def idle(engine: Engine, backend: Backend) -> None:
    """The engine computes nothing, long before the request that was left would have ended."""
    await complete(backend, ask(backend, "Go.", max_tokens=2))
    await anyio.to_thread.run_sync(wait_until, lambda: engine.busy() == 0, engine.notices)


def test_the_table_names_what_is_there() -> None:
    assert {engine for engine, _ in QUIRKS} <= set(NAMES)
    assert {what for _, what in QUIRKS} <= {*OURS, *(check.name for check in TRIED)}


# --- plans and counts --------------------------------------------------------------------------------------

PLACES = "Kyoto Oslo Lima Cairo Quebec Zürich Paris Hanoi Perth 東京".split()
SENTENCES = [
    f"Plan a {days}-day trip to {place} for two with a budget of ${days * 310:,}"
    for place in PLACES
    for days in (2, 3, 5, 7, 10)
]


@pytest.mark.parametrize("engine", [f"{name}:teaching" for name in NAMES[:3]], indirect=True)
async def test_fifty_plans_of_fifty_are_valid(engine: Engine, backend: Backend) -> None:
    """The model knows the kit's short prompts, in whatever engine it is.

    Without its placeholders its longer plans use an id twice now and then, which no grammar forbids.
    """
    told, most = Lent(backend, terse=True), 24 if engine.name == "embedded" else 2
    sizes: dict[str, int] = {}

    async def one(sentence: str) -> None:
        sizes[sentence] = len((await plan(sentence, told, max_tasks=most)).graph)

    async with anyio.create_task_group() as tasks:
        for sentence in SENTENCES:
            tasks.start_soon(one, sentence)
    assert len(sizes) == len(SENTENCES) == 50
    assert all(1 <= size <= most for size in sizes.values())


@pytest.mark.parametrize("engine", [f"{name}:teaching" for name in NAMES], indirect=True)
def test_a_run_counts_what_the_engine_counted(engine: Engine) -> None:
    """Of each task's answer; on the teaching model, because the tiny one says what cannot be stored."""
    lent = Lent(engine.make(), refuses=False)
    rows = [{"id": name, "description": f"Say {name}.", "depends_on": []} for name in "abcd"]
    with Kit(model=lent, home=None) as kit:
        run = kit.start({"subtasks": [*rows, {"id": "z", "depends_on": list("abcd")}]})
        with suppress(RunFailed):
            run.result(2 * HANG)
        ended = [event for event in run._machine.log if isinstance(event, TaskDone | TaskFailed)]
    assert len(ended) >= 4
    assert all(done.completion_tokens > 0 and done.prompt_tokens > 0 for done in lent.done)
    said = sorted(done.prompt_tokens + done.completion_tokens for done in lent.done)
    assert sorted(event.tokens for event in ended) == said


# --- a run whose server is killed --------------------------------------------------------------------------


def speaking(server: ForeignServer) -> bool:
    """Whether some answer has begun and is on its way to the client."""
    slots = [slot for slot in server.get("/slots") if slot["is_processing"]]
    return any(slot["next_token"][0]["n_decoded"] > 2 for slot in slots)


@pytest.fixture
def mortal(engines: Engines, tmp_path: Path) -> Iterator[ForeignServer]:
    """A `llama-server` of one slot, with the larger model: its answers last."""
    with llama_server(engines.gguf("teaching"), tmp_path / "log", slots=1, context=2 * WINDOW) as server:
        yield server


def backend_of(server: ForeignServer, **more: Any) -> OpenAICompatible:
    return OpenAICompatible(server.url, patience=PATIENCE, **more)


def test_cancelling_a_task_frees_its_slot_at_the_server(llama: ForeignServer) -> None:
    with Kit(model=backend_of(llama, extra_body=ENDLESS), home=None) as kit:
        run = kit.start({"subtasks": [{"id": "a"}]})
        wait_until(lambda: speaking(llama))
        assert run.cancel("a")
        llama.wait_for_slots(0)
        assert run.states() == {"a": "cancelled"}


def test_killed_in_mid_answer_a_task_fails_with_the_reason_and_restarted_it_is_done(
    mortal: ForeignServer,
) -> None:
    with Kit(model=backend_of(mortal, extra_body=ENDLESS), home=None) as kit:
        run = kit.start({"subtasks": [{"id": "a"}]})
        wait_until(lambda: speaking(mortal))
        mortal.kill()
        with pytest.raises(RunFailed, match=re.escape(f"{mortal.url}: the answer broke off")):
            run.result(HANG)
        assert "Look at the server's log" in run.snapshot().tasks["a"].reason
        mortal.start()
        assert run.retry("a")
        assert isinstance(run.result(HANG), str)


def test_in_a_pool_others_take_over_and_only_who_had_begun_begins_again(
    mortal: ForeignServer, engines: Engines
) -> None:
    """Of four tasks two are with each server: on the one that is killed, one speaks and one waits."""
    other = backend_of(engines.server("teaching"))
    pool = Pool([backend_of(mortal, extra_body=ENDLESS), other])
    with Kit(model=pool, home=None) as kit:
        run = kit.start({"subtasks": [{"id": name, "attempts": 2} for name in "abcd"]}, agents=4)
        wait_until(lambda: speaking(mortal))
        mortal.kill()
        assert set(run.result(2 * HANG)) == set("abcd")
        assert sorted(view.attempt for view in run.snapshot().tasks.values()) == [1, 1, 1, 2]
        failed = [entry for entry in run.snapshot().entries if entry.outcome == "failed"]
        assert len(failed) == 1


async def test_a_pool_loses_no_request_that_had_not_begun_and_uses_a_server_again(
    mortal: ForeignServer, llama: ForeignServer
) -> None:
    pool = Pool([backend_of(mortal), backend_of(llama)])
    answers: list[str] = []

    async def one() -> None:
        answers.append((await complete(pool, ask(pool, tokens=8))).text)

    async def twelve() -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(12):
                tasks.start_soon(one)

    await twelve()
    await anyio.to_thread.run_sync(mortal.kill)
    await twelve()
    await anyio.to_thread.run_sync(mortal.start)
    with anyio.fail_after(HANG):
        while not any("id_task" in slot for slot in await anyio.to_thread.run_sync(mortal.get, "/slots")):
            await one()
    await pool.aclose()
    assert len(answers) > 24


# --- around it ---------------------------------------------------------------------------------------------


async def test_the_figures_of_a_server(llama: ForeignServer) -> None:
    backend = OpenAICompatible(llama.url)
    await complete(backend, ask(backend, "Go.", tokens=1))
    figures = await measure(backend)
    await backend.aclose()
    assert (figures.window, figures.used) == (LONG, ())
    assert figures.cached_tokens == figures.prompt_tokens - 1  # the last one has to be computed anew
    assert figures.prompt_tokens > 100


def test_the_command_line_tries_a_server(llama: ForeignServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--try", llama.url]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert not [line for line in lines if line.startswith("✗")]
    assert lines[-4].endswith(f"tiny.gguf at {llama.url}: window {LONG} tokens")
