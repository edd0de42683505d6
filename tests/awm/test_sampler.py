"""Samples of this machine by the real psutil; at the border to NVML a fake that mirrors its names."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable
from types import ModuleType, SimpleNamespace

import anyio
import psutil
import pytest

from dyntaskmas_nb.awm import sampler
from dyntaskmas_nb.awm.sampler import Gpus, sample
from dyntaskmas_nb.core.codec import decode, encode
from dyntaskmas_nb.core.event import GpuSample, MachineSampled


class NVMLError(Exception):
    """As pynvml has it."""


class FakeNvml(ModuleType):
    """pynvml 13 with two GPUs: the same functions, and fields as `c_nvmlMemory_t`, `c_nvmlUtilization_t`."""

    NVMLError = NVMLError

    def __init__(self, fails: str = "", waits: threading.Event | None = None) -> None:
        super().__init__("pynvml")
        self.fails, self.waits, self.calls = fails, waits, list[str]()
        self.ready = False

    def _called(self, name: str) -> None:
        self.calls.append(name)
        if self.waits and name == "nvmlInit":
            self.waits.wait(20)
        if name == self.fails:
            raise NVMLError("Not Supported")
        assert self.ready or name == "nvmlInit", "NVMLError_Uninitialized"

    def nvmlInit(self) -> None:
        self._called("nvmlInit")
        self.ready = True

    def nvmlDeviceGetCount(self) -> int:
        self._called("nvmlDeviceGetCount")
        return 2

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        self._called("nvmlDeviceGetHandleByIndex")
        return 70 + index

    def nvmlDeviceGetName(self, handle: int) -> str:
        self._called("nvmlDeviceGetName")
        return f"NVIDIA H{handle}"

    def nvmlDeviceGetUtilizationRates(self, handle: int) -> SimpleNamespace:
        self._called("nvmlDeviceGetUtilizationRates")
        return SimpleNamespace(gpu=handle - 50, memory=5)

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> SimpleNamespace:
        self._called("nvmlDeviceGetMemoryInfo")
        return SimpleNamespace(total=1000, free=900, used=100 + handle)

    def nvmlDeviceGetPowerUsage(self, handle: int) -> int:
        self._called("nvmlDeviceGetPowerUsage")
        if handle == 71:
            raise self.NVMLError("Not Supported")
        return 350_500


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> Callable[..., FakeNvml]:
    def put(**how: object) -> FakeNvml:
        fake = FakeNvml(**how)  # type: ignore[arg-type]
        monkeypatch.setitem(sys.modules, "pynvml", fake)
        return fake

    return put


@pytest.fixture(autouse=True)
def no_real_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)  # importing it raises ImportError


async def samples(count: int, meanwhile: Callable[[], object] = lambda: None) -> list[MachineSampled]:
    found: list[MachineSampled] = []
    async with anyio.create_task_group() as group:

        def post(event: MachineSampled) -> None:
            found.append(event)
            if len(found) == count:
                group.cancel_scope.cancel()

        group.start_soon(sample, post, 0.0, lambda: 7.0)
        await anyio.sleep(0.1)
        meanwhile()
    return found


TWO = (
    GpuSample(name="NVIDIA H70", busy=0.2, memory=170, memory_total=1000, power=350.5),
    GpuSample(name="NVIDIA H71", busy=0.21, memory=171, memory_total=1000),
)


async def test_the_machine_is_sampled_by_the_real_psutil() -> None:
    mine = psutil.Process().memory_info().rss
    found = await samples(3)
    assert len(found) == 3
    for one in found:
        assert one.t == 7.0
        assert 0 <= one.cpu <= 1
        assert mine / 4 < one.memory < mine * 4
        assert one.gpus == ()
        assert decode(encode(one)) == one


async def test_the_share_of_the_cpu_is_since_the_last_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    given = iter([0.0, 50.0, 25.0])  # what psutil gives first, when there is no time to tell of, is 0
    asked: list[float | None] = []
    monkeypatch.setattr(psutil, "cpu_percent", lambda interval: asked.append(interval) or next(given))
    assert [one.cpu for one in await samples(2)] == [0.5, 0.25]
    assert asked == [None] * 3, "an interval would block the loop"


async def test_gpus_are_read_where_there_are_any(nvml: Callable[..., FakeNvml]) -> None:
    fake = nvml()
    found = await samples(2)
    assert [one.gpus for one in found] == [TWO, TWO]
    assert fake.calls.count("nvmlInit") == 1
    assert fake.calls.count("nvmlDeviceGetName") == 2


async def test_without_nvml_that_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        found = await samples(3)
    assert [one.gpus for one in found] == [(), (), ()]
    (said,) = [record.getMessage() for record in caplog.records if record.name == sampler.__name__]
    assert "pip install 'dyntaskmas_nb[gpu]'" in said


@pytest.mark.parametrize(
    "fails", ["nvmlInit", "nvmlDeviceGetCount", "nvmlDeviceGetUtilizationRates", "nvmlDeviceGetMemoryInfo"]
)
async def test_a_failing_nvml_is_left_alone_and_the_rest_goes_on(
    fails: str, nvml: Callable[..., FakeNvml], caplog: pytest.LogCaptureFixture
) -> None:
    fake = nvml(fails=fails)
    with caplog.at_level(logging.INFO):
        found = await samples(3)
    assert [one.gpus for one in found] == [(), (), ()]
    assert fake.calls.count(fails) == 1
    assert [record.getMessage() for record in caplog.records if record.name == sampler.__name__] == [
        "There will be no GPU figures: Not Supported."
    ]


def test_gpus_that_fail_later_are_left_alone_too(nvml: Callable[..., FakeNvml]) -> None:
    fake, gpus = nvml(), Gpus()
    assert gpus.read() == TWO
    fake.fails = "nvmlDeviceGetMemoryInfo"
    assert gpus.read() == ()
    assert not gpus.there


async def test_the_loop_goes_on_while_nvml_takes_its_time(nvml: Callable[..., FakeNvml]) -> None:
    waits = threading.Event()
    nvml(waits=waits)
    found = await samples(1, meanwhile=waits.set)  # a loop that waited itself would never get there
    assert found[0].gpus == TWO


async def test_nvml_is_not_waited_for_for_ever(
    nvml: Callable[..., FakeNvml], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sampler, "PATIENCE", 0.05)
    waits = threading.Event()
    fake = nvml(waits=waits)
    with caplog.at_level(logging.INFO):
        found = await samples(2)
    assert [one.gpus for one in found] == [(), ()]
    assert fake.calls == ["nvmlInit"]
    assert "did not answer" in caplog.text
    waits.set()


async def test_what_psutil_cannot_tell_is_left_out(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    given = iter([0.0, OSError("no /proc/stat"), psutil.AccessDenied(), 50.0])

    def cpu_percent(interval: float | None) -> float:
        value = next(given)
        if isinstance(value, Exception):
            raise value
        return value

    monkeypatch.setattr(psutil, "cpu_percent", cpu_percent)
    with caplog.at_level(logging.INFO):
        assert [one.cpu for one in await samples(1)] == [0.5]
    assert caplog.text.count("could not be sampled") == 1
