"""The panel's bundle: built when missing or stale, the same bytes everywhere, shipped, self-contained."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

import hatch_build
from tools import front_end

ROOT = front_end.ROOT
SHIPPED = {f"dyntaskmas_nb/ui/static/{name}" for name in (*front_end.FILES, front_end.STAMP.name)}
# Addresses that stand in the code as names and in messages; nobody opens them.
NAMES = {"http://www.w3.org/2000/svg", "https://github.com/uuidjs/uuid#getrandomvalues-not-supported"}


def load(path: Path) -> ModuleType:
    """A module by its path, apart from one of the same name."""
    spec = importlib.util.spec_from_file_location(f"copied_{path.stem}", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def link(source: str, target: str) -> None:
    """As a copy, without the copying where both lie on one disk."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As much of a fresh clone as hatch asks for, in another folder, with npm's work done."""
    front_end.installed()
    clone = tmp_path_factory.mktemp("clone")
    for name in (".gitignore", "LICENSE", "README.md", "hatch_build.py", "pyproject.toml"):
        shutil.copy(ROOT / name, clone)
    for name in ("dyntaskmas_nb/__init__.py", "tools/front_end.py"):
        (clone / name).parent.mkdir()
        shutil.copy(ROOT / name, clone / name)
    ignore = shutil.ignore_patterns(".vite*")
    shutil.copytree(ROOT / "widgets", clone / "widgets", copy_function=link, symlinks=True, ignore=ignore)
    return clone


@pytest.fixture(scope="module")
def shipped(clone: Path) -> dict[str, set[str]]:
    """What a wheel and an sdist of the clone hold; the first of them has to build the bundle."""
    assert not (clone / "dyntaskmas_nb" / "ui").exists()
    out = clone / "dist"
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(out)]
    subprocess.run(command, cwd=clone, capture_output=True, text=True, check=True)
    with tarfile.open(next(out.glob("*.tar.gz"))) as archive:
        sdist = {name.partition("/")[2] for name in archive.getnames()}
    return {"wheel": set(zipfile.ZipFile(next(out.glob("*.whl"))).namelist()), "sdist": sdist}


@pytest.fixture
def copied(clone: Path, shipped: dict[str, set[str]]) -> ModuleType:
    """The clone's own front_end, its bundle built."""
    return load(clone / "tools" / "front_end.py")


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_what_is_shipped_holds_the_bundle(kind: str, shipped: dict[str, set[str]]) -> None:
    assert SHIPPED - shipped[kind] == set()
    assert not [name for name in shipped[kind] if "node_modules" in name]


def test_the_sdist_holds_the_sources_so_that_its_bundle_is_known_as_current(
    shipped: dict[str, set[str]],
) -> None:
    sources = {path.relative_to(ROOT).as_posix() for path in front_end.sources()}
    assert sources | {"hatch_build.py", "tools/front_end.py"} <= shipped["sdist"]


def test_the_same_sources_give_the_same_bytes_elsewhere(copied: ModuleType, tmp_path: Path) -> None:
    command = [*front_end.installed(), "build.mjs", str(tmp_path)]
    subprocess.run(command, cwd=front_end.WIDGETS, capture_output=True, check=True)
    for name in front_end.FILES:
        assert (tmp_path / name).read_bytes() == (copied.BUNDLE / name).read_bytes(), name


def test_a_current_bundle_needs_no_node(copied: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copied, "find_node", lambda: pytest.fail("looked for Node.js"))
    assert copied.current()
    copied.bundle()


@pytest.mark.parametrize("change", ["source", "new source", "lockfile", "no panel", "no stamp"])
def test_a_stale_bundle_is_seen_and_without_node_refused(
    change: str, copied: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = {
        "source": copied.WIDGETS / "src" / "press.js",
        "new source": copied.WIDGETS / "src" / "later.js",
        "lockfile": copied.LOCK,
        "no panel": copied.BUNDLE / "panel.js",
        "no stamp": copied.STAMP,
    }[change]
    before = path.read_bytes() if path.exists() else None
    path.unlink(missing_ok=True)  # a linked file is not written through
    if not change.startswith("no "):
        path.write_bytes((before or b"") + b"\n")
    try:
        assert not copied.current()
        monkeypatch.setattr(copied, "find_node", lambda: None)
        with pytest.raises(
            copied.FrontEndError, match=r"no Node\.js 20\.19 or later with npm here: .*pip install"
        ) as caught:
            copied.bundle()
        assert "\n" not in str(caught.value)
    finally:
        path.unlink(missing_ok=True)
        if before is not None:
            path.write_bytes(before)
    assert copied.current()


def test_what_esbuild_says_is_passed_on_and_no_stamp_is_left(copied: ModuleType) -> None:
    source = copied.WIDGETS / "src" / "press.js"
    before = source.read_bytes()
    source.unlink()
    try:
        source.write_text("export default {", encoding="utf-8")
        with pytest.raises(copied.FrontEndError, match=r"press\.js:1"):
            copied.bundle()
        assert not copied.STAMP.exists()
    finally:
        source.unlink()
        source.write_bytes(before)
    copied.bundle()
    assert copied.current()


@pytest.mark.parametrize(
    ("current", "node", "asked"),
    [(True, False, []), (False, True, []), (False, False, [front_end.WHEEL])],
)
def test_the_hook_asks_for_node_only_when_it_is_needed(
    current: bool, node: bool, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(front_end, "current", lambda: current)
    monkeypatch.setattr(front_end, "find_node", lambda: (["node"], ["npm"]) if node else None)
    hook = hatch_build.PanelBundle(str(ROOT), {}, None, None, "", "wheel")  # type: ignore[arg-type]
    assert hook.dependencies() == asked


@pytest.mark.parametrize(
    ("says", "taken"), [("v20.18.3", False), ("v18.20.0", False), ("v20.19.0", True), ("v24.1.0", True)]
)
def test_an_old_node_is_passed_over(
    says: str, taken: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("node", "npm"):
        (tmp_path / name).write_text(f"#!/bin/sh\necho {says}\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert front_end.find_node() == (([str(tmp_path / "node")], [str(tmp_path / "npm")]) if taken else None)


def test_the_bundle_fetches_nothing_and_makes_no_code_of_text(copied: ModuleType) -> None:
    for name in ("panel.js", "press.js"):
        script, _, _ = (copied.BUNDLE / name).read_text(encoding="utf-8").partition("/*! Bundled license")
        assert set(re.findall(r"(?:https?|wss?)://[^\s\"'`)\\]+", script)) <= NAMES
        assert (
            re.findall(r"\beval\(|\bnew Function\b|\bimport\(|\bimportScripts\(|XMLHttpRequest", script) == []
        )
    style = (copied.BUNDLE / "panel.css").read_text(encoding="utf-8")
    assert re.findall(r"@import|https?:|url\((?![\"']?(?:data:|#))", style) == []


def test_licences_travel_along(copied: ModuleType) -> None:
    texts = (copied.BUNDLE / "LICENSES.txt").read_text(encoding="utf-8")
    for name in (
        "vis-network",
        "vis-data",
        "vis-util",
        "@egjs/hammerjs",
        "component-emitter",
        "keycharm",
        "uuid",
    ):
        assert re.search(rf"^{name} \d+\.\d+\.\d+: ", texts, flags=re.MULTILINE), name
    assert "Permission is hereby granted" in texts
    assert "@license" in (copied.BUNDLE / "panel.js").read_text(encoding="utf-8")
