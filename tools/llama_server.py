"""Builds the two foreign servers that the tests talk to: llama.cpp's `llama-server`, and `llama_cpp.server`.

Usage: `python tools/llama_server.py` builds what is missing, `python tools/llama_server.py path` does not;
both print where things are, as JSON. Both servers come from one archive on PyPI, the source distribution of
llama-cpp-python, which holds llama.cpp; they lie in the user's cache, never in the tree, under names that
tell recipe and machine. A C++ compiler is needed; cmake and ninja come from PyPI where the machine has none.

What was cut off leaves a folder `unfinished-…` that the next call removes; two calls at once take turns.
Standard library only. Linux and macOS.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

VERSION = "0.3.36"
ARCHIVE = (
    f"llama-cpp-python=={VERSION} "
    "--hash=sha256:832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e"
)
PACKAGES = (  # what llama_cpp.server runs on, in releases known to go together
    "diskcache==5.6.3",
    "fastapi==0.165.0",
    "jinja2==3.1.6",
    "numpy==2.4.6",
    "pydantic-settings==2.16.3",
    "pyyaml==6.0.4",
    "sse-starlette==3.7.0",
    "starlette-context==0.3.6",
    "typing-extensions==4.16.0",
    "uvicorn==0.54.0",
)

ON = ("BUILD_SHARED_LIBS", "CMAKE_BUILD_WITH_INSTALL_RPATH", "GGML_SSE42")
OFF = (
    # The web interface, which would be downloaded, and what else the tests have no use for.
    *("LLAMA_BUILD_UI", "LLAMA_USE_PREBUILT_UI", "LLAMA_OPENSSL", "LLAMA_SUBPROCESS"),
    *("LLAMA_BUILD_APP", "LLAMA_BUILD_EXAMPLES", "LLAMA_BUILD_TESTS", "LLAMA_ALL_WARNINGS"),
    # One build for every processor of an architecture (SSE 4.2 is in all x86 since 2008): a cache may travel.
    *("GGML_NATIVE", "GGML_AVX", "GGML_AVX2", "GGML_BMI2", "GGML_FMA", "GGML_F16C"),
    # Speed for large models only, or another computer than the processor.
    *("GGML_OPENMP", "GGML_LLAMAFILE", "GGML_CPU_REPACK", "GGML_METAL", "GGML_BLAS", "GGML_ACCELERATE"),
    "GGML_CCACHE",
)
FLAGS = (
    *(f"-D{name}=ON" for name in ON),
    *(f"-D{name}=OFF" for name in OFF),
    # -O1 takes 40 % less of the compiler's time than -O3, and a small model does not feel the difference.
    *("-DCMAKE_BUILD_TYPE=Release", "-DCMAKE_C_FLAGS_RELEASE=-O1 -DNDEBUG"),
    "-DCMAKE_CXX_FLAGS_RELEASE=-O1 -DNDEBUG",
    f"-DCMAKE_INSTALL_RPATH={'@loader_path' if sys.platform == 'darwin' else '$ORIGIN'}",
)


class BuildError(Exception):
    """What could not be built, and what to do about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """Where the servers are, or will be."""

    server: Path  # the program llama-server
    libraries: Path  # the folder of libllama; for LLAMA_CPP_LIB_PATH
    modules: Path  # the folder of the package llama_cpp; for PYTHONPATH
    python: Path  # an interpreter with what llama_cpp.server imports


def cache() -> Path:
    """The folder of this project in the user's cache."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "dyntaskmas_nb"


def named(what: str, *recipe: object) -> Path:
    """The folder for what `recipe` makes on this machine."""
    machine = (platform.system(), platform.machine(), *platform.libc_ver())
    key = hashlib.sha256(json.dumps([machine, recipe], default=str).encode()).hexdigest()[:12]
    return cache() / f"{what}-{VERSION}-{key}"


def folders() -> tuple[Path, Path]:
    """The folders of the compiled server, and of the Python environment of the other."""
    environment = named("llama_cpp.server", PACKAGES, sys.version_info[:2], sys.base_prefix)
    return named("llama.cpp", ARCHIVE, FLAGS), environment


def paths() -> Paths:
    """Where the servers are, or will be."""
    native, environment = folders()
    return Paths(
        server=native / "bin" / "llama-server",
        libraries=native / "bin",
        modules=native / "python",
        python=environment / "bin" / "python",
    )


def find() -> Paths | None:
    """Where the servers are; None where they have not been built."""
    found = paths()
    return found if found.server.is_file() and found.python.is_file() else None


def run(*command: str | Path, failed: str, cwd: Path | None = None) -> None:
    """Run a program; a failure shows the end of what it said."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        lines = (done.stdout + done.stderr).strip().splitlines()
        raise BuildError("\n".join([f"{failed}:", *lines[-40:]]))


def pip(*arguments: str | Path, failed: str) -> None:
    """Run the pip of this interpreter."""
    quiet = ("--quiet", "--disable-pip-version-check", "--no-input")
    run(sys.executable, "-m", "pip", *arguments, *quiet, failed=f"{failed} (is there a network?)")


def environment(folder: Path, *packages: str) -> Path:
    """Make a virtual environment with `packages`; return the folder of its programs."""
    run(sys.executable, "-m", "venv", "--without-pip", folder, failed="no virtual environment could be made")
    python = folder / "bin" / "python"
    pip("--python", python, "install", *packages, failed=f"pip could not install {', '.join(packages)}")
    return folder / "bin"


def programs(work: Path) -> dict[str, str]:
    """Cmake and ninja: the machine's own, or both from PyPI."""
    found = {name: shutil.which(name) for name in ("cmake", "ninja")}
    if all(found.values()):
        return {name: str(path) for name, path in found.items()}
    folder = environment(work / "tools", "cmake", "ninja")
    return {name: str(folder / name) for name in found}


def check_compiler() -> None:
    """Raise `BuildError` without a C++ compiler."""
    if not any(map(shutil.which, filter(None, (os.environ.get("CXX"), "c++", "g++", "clang++")))):
        raise BuildError("llama.cpp needs a C++ compiler: install one (Debian, Ubuntu: apt install g++).")


def compile_server(work: Path) -> Path:
    """Fetch llama.cpp and compile its server; return the folder to keep."""
    check_compiler()
    tools = programs(work)
    (work / "archive.txt").write_text(ARCHIVE + "\n", encoding="ascii")
    pinned = ("--no-deps", "--no-binary", "llama-cpp-python", "--require-hashes", "-r", work / "archive.txt")
    pip("download", *pinned, "-d", work, failed=f"pip could not fetch llama-cpp-python {VERSION}")
    archive = work / f"llama_cpp_python-{VERSION}.tar.gz"
    run(tools["cmake"], "-E", "tar", "xzf", archive, cwd=work, failed=f"{archive.name} could not be unpacked")
    source, build, kept = work / f"llama_cpp_python-{VERSION}", work / "build", work / "kept"
    ninja = ("-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={tools['ninja']}")
    where = ("-S", source / "vendor" / "llama.cpp", "-B", build)
    run(tools["cmake"], *where, *ninja, *FLAGS, failed="cmake could not prepare llama.cpp")
    jobs = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    run(tools["ninja"], "-C", build, f"-j{jobs}", "llama-server", failed="llama.cpp could not be compiled")
    kept.mkdir()
    (build / "bin").rename(kept / "bin")
    (kept / "python").mkdir()
    (source / "llama_cpp").rename(kept / "python" / "llama_cpp")
    return kept


@contextmanager
def turn() -> Iterator[Path]:
    """Wait until no other process builds; give an empty folder to work in, which goes at the end."""
    import fcntl

    cache().mkdir(parents=True, exist_ok=True)
    with (cache() / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another process builds llama.cpp's server: waiting for it.", file=sys.stderr)
            fcntl.flock(lock, fcntl.LOCK_EX)
        for left in cache().glob("unfinished-*"):
            shutil.rmtree(left, ignore_errors=True)
        work = Path(tempfile.mkdtemp(prefix="unfinished-", dir=cache()))
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)


def put(made: Path, folder: Path) -> None:
    """Move what was made to its place, at once; what lies there is broken."""
    if folder.exists():
        shutil.rmtree(folder)
    made.rename(folder)


def build() -> Paths:
    """Build what is missing."""
    if (found := find()) is not None:
        return found
    with turn() as work:
        native, python = folders()
        if not paths().server.is_file():
            print(f"Building llama.cpp's server, once: some minutes ({native}).", file=sys.stderr)
            start = time.monotonic()
            put(compile_server(work), native)
            seconds, used = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu = used.ru_utime + used.ru_stime
            print(f"Built in {seconds:.0f} s ({cpu:.0f} s of processor time).", file=sys.stderr)
        if not paths().python.is_file():
            print(f"Installing what llama_cpp.server needs ({python}).", file=sys.stderr)
            environment(work / "environment", *PACKAGES)
            put(work / "environment", python)
    return paths()


def main(arguments: list[str]) -> int:
    """Build, or only look; 1 if there is nothing, or it fails."""
    if arguments not in ([], ["path"]):
        print(__doc__, file=sys.stderr)
        return 2
    try:
        found = find() if arguments else build()
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    if found is None:
        print("Not built: `python tools/llama_server.py` builds it.", file=sys.stderr)
        return 1
    print(json.dumps(asdict(found), default=str, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
