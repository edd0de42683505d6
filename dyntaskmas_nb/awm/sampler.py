"""Samples of the machine for the Performance Monitor (§III-D): CPU, memory, NVIDIA GPUs where there are any.

The paper's M(t) holds what the system uses besides what its tasks do: figures that come from outside the run,
and so arrive as events like all else (`MachineSampled`). All GPUs of the machine are read, whoever uses them.

NVML may take seconds to begin with, so it is asked in a thread, and not again once it has failed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import anyio
import anyio.to_thread
import psutil

from dyntaskmas_nb.core.event import GpuSample, MachineSampled

log = logging.getLogger(__name__)

#: The shortest time between two samples, and the longest that NVML is waited for, in seconds.
SHORTEST, PATIENCE = 0.05, 30.0


class Gpus:
    """The NVIDIA GPUs of this machine; `there` until reading them has failed, which is logged once."""

    def __init__(self) -> None:
        self.there = True
        self._nvml: Any = None
        self._handles: list[tuple[str, Any]] = []

    def read(self) -> tuple[GpuSample, ...]:
        """What each GPU does now; nothing where that cannot be had. Blocks, perhaps for seconds."""
        try:
            import pynvml
        except ImportError:
            self.give_up("pynvml is not installed; pip install 'dyntaskmas_nb[gpu]' brings it")
            return ()
        try:
            if self._nvml is None:
                pynvml.nvmlInit()
                handles = [
                    pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())
                ]
                self._handles = [(pynvml.nvmlDeviceGetName(handle), handle) for handle in handles]
                self._nvml = pynvml
            return tuple([self._one(name, handle) for name, handle in self._handles])
        except pynvml.NVMLError as error:
            self.give_up(str(error))
            return ()

    def _one(self, name: str, handle: Any) -> GpuSample:
        memory = self._nvml.nvmlDeviceGetMemoryInfo(handle)
        busy = self._nvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100
        try:
            power = self._nvml.nvmlDeviceGetPowerUsage(handle) / 1000  # it says milliwatts
        except self._nvml.NVMLError:  # not every card tells
            power = None
        return GpuSample(name=name, busy=busy, memory=memory.used, memory_total=memory.total, power=power)

    def give_up(self, why: str) -> None:
        """Read them no more, and say so."""
        if self.there:
            self.there = False
            log.info("There will be no GPU figures: %s.", why.rstrip("."))


async def sample(
    post: Callable[[MachineSampled], object],
    every: float = 1.0,
    now: Callable[[], float] = anyio.current_time,
) -> None:
    """Post a sample of the machine `every` so many seconds until cancelled; never raises by itself.

    `now` gives the run's time (`Engine.now`). Not for a virtual clock: the machine's time is the real one,
    and a run that is to be repeated must hold nothing of it.
    """
    process, gpus = psutil.Process(), Gpus()
    said = False
    psutil.cpu_percent(interval=None)  # it tells of the time since it was asked last; the first says nothing
    while True:
        await anyio.sleep(max(every, SHORTEST))
        found = await _patiently(gpus) if gpus.there else ()
        try:
            cpu, memory = psutil.cpu_percent(interval=None) / 100, process.memory_info().rss
        except (psutil.Error, OSError) as error:
            if not said:
                log.info("The machine could not be sampled: %s", error)
            said = True
            continue
        post(MachineSampled(now(), cpu, memory, found))


async def _patiently(gpus: Gpus) -> tuple[GpuSample, ...]:
    with anyio.move_on_after(PATIENCE):
        return await anyio.to_thread.run_sync(gpus.read, abandon_on_cancel=True)
    gpus.give_up(f"NVML did not answer within {PATIENCE:g} s")
    return ()
