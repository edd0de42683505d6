"""Shared by all tests: hypothesis profiles, the async backend, and how long a campaign may be."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Deadlines off: tests run on busy machines, and pytest-timeout already ends what hangs.
# The CI profile draws the same examples every time; the torture profile explores.
settings.register_profile(
    "ci", max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "torture", max_examples=5_000, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("ci")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Async tests run on asyncio; a test on the virtual clock asks for trio by overriding this fixture."""
    return "asyncio"


@pytest.fixture(scope="session")
def torture(pytestconfig: pytest.Config) -> bool:
    """True under `make torture`: a test that runs a short campaign lengthens it."""
    return pytestconfig.getoption("hypothesis_profile") == "torture"


@pytest.fixture
def unwritable(tmp_path: Path) -> Path:
    """A place where nothing can be written: a read-only directory, and for root, whom none stops, /proc."""
    if os.geteuid() == 0:
        return Path("/proc/nowhere")
    tmp_path.chmod(0o500)
    return tmp_path
