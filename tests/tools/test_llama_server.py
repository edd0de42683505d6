"""What builds llama.cpp's server, without compiling; `tests/llm/test_servers.py` sees what comes of that."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools import llama_server

ROOT = Path(__file__).parents[2]

FAKE = """
import sys, time
from pathlib import Path
from tools import llama_server

def compile_server(work):
    with (llama_server.cache() / "compiled").open("a") as times:
        times.write("x")
    (work / "kept" / "bin").mkdir(parents=True)
    time.sleep(0.5)
    (work / "kept" / "bin" / "llama-server").touch()
    return work / "kept"

def environment(folder, *packages):
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").touch()
    return folder / "bin"

llama_server.compile_server, llama_server.environment = compile_server, environment
sys.exit(llama_server.main([]))
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that a build uses, in an empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "dyntaskmas_nb"


def fake() -> subprocess.Popen[str]:
    """A build that compiles nothing."""
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [sys.executable, "-c", FAKE], cwd=ROOT, env=dict(os.environ), stdout=pipe, stderr=pipe, text=True
    )


def test_path_only_looks(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert llama_server.main(["path"]) == 1
    assert "python tools/llama_server.py" in capsys.readouterr().err
    assert not cache.exists()


def test_two_at_once_compile_once(cache: Path) -> None:
    builds = [fake(), fake()]
    said = [json.loads(build.communicate()[0]) for build in builds]
    assert [build.returncode for build in builds] == [0, 0]
    assert said[0] == said[1]
    assert Path(said[0]["server"]).is_file()
    assert (cache / "compiled").read_text() == "x"
    assert llama_server.find() == llama_server.paths()
    assert not list(cache.glob("unfinished-*"))


def test_what_was_cut_off_is_not_taken_for_done(cache: Path) -> None:
    cut = fake()
    while not list(cache.glob("unfinished-*/kept/bin")):
        assert cut.poll() is None, cut.communicate()
    cut.kill()
    cut.communicate()
    assert llama_server.find() is None
    assert list(cache.glob("unfinished-*"))
    again = fake()
    again.communicate()
    assert again.returncode == 0
    assert llama_server.find() is not None
    assert not list(cache.glob("unfinished-*"))


def test_a_broken_build_gives_way_at_once(tmp_path: Path) -> None:
    made, folder = tmp_path / "made", tmp_path / "folder"
    made.mkdir()
    folder.mkdir()
    (folder / "broken").touch()
    before = made.stat().st_ino
    llama_server.put(made, folder)
    assert folder.stat().st_ino == before, "it was copied: cut off, it would be there in part"
    assert list(folder.iterdir()) == []


def test_without_a_compiler_one_sentence(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    assert llama_server.main([]) == 1
    assert capsys.readouterr().err.splitlines()[1:] == [
        "llama.cpp needs a C++ compiler: install one (Debian, Ubuntu: apt install g++)."
    ]
    assert not list(cache.glob("unfinished-*"))


@pytest.mark.parametrize("change", ["ARCHIVE", "FLAGS"])
def test_another_recipe_is_another_folder(change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before: tuple[Path, Path] = llama_server.folders()
    monkeypatch.setattr(llama_server, change, ("other",))
    assert llama_server.folders()[0] != before[0]
    assert llama_server.folders()[1] == before[1]
