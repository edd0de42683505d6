"""Refuse a notebook that is too big to review or to learn from.

Limits: 200 kB a file, no widget state, no recorded errors, at most 25 code cells of at most 10 lines each.
Usage: `python tools/check_notebooks.py [FILE ...]`, by default every notebook under `notebooks/`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MAX_BYTES = 200_000
MAX_CODE_CELLS = 25
MAX_LINES = 10
ROOT = Path(__file__).resolve().parent.parent


def source_lines(cell: dict[str, Any]) -> list[str]:
    """The lines of a cell that say something; `source` is a string or a list of strings."""
    source = cell.get("source", "")
    text = source if isinstance(source, str) else "".join(source)
    return [line for line in text.splitlines() if line.strip()]


def complaints(path: Path) -> Iterator[str]:
    """Yield what is wrong with one notebook, a sentence each."""
    if (size := path.stat().st_size) > MAX_BYTES:
        yield f"{size:,} bytes, more than {MAX_BYTES:,}: clear large outputs"
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        yield f"not JSON: {error}"
        return
    if "widgets" in notebook.get("metadata", {}):
        yield "holds widget state: save it without (Settings > Save Widget State Automatically, off)"
    code = [cell for cell in notebook.get("cells", []) if cell.get("cell_type") == "code"]
    if len(code) > MAX_CODE_CELLS:
        yield f"{len(code)} code cells, more than {MAX_CODE_CELLS}"
    for number, cell in enumerate(code, start=1):
        if (lines := len(source_lines(cell))) > MAX_LINES:
            yield f"code cell {number} has {lines} lines, more than {MAX_LINES}"
        if any(output.get("output_type") == "error" for output in cell.get("outputs", [])):
            yield f"code cell {number} ended in an error when it was saved"


def main(arguments: list[str]) -> int:
    """Print every complaint; 1 if there is one."""
    paths = [Path(argument) for argument in arguments] or sorted((ROOT / "notebooks").rglob("*.ipynb"))
    paths = [path for path in paths if ".ipynb_checkpoints" not in path.parts]
    found = [f"{path.name}: {text}" for path in paths for text in complaints(path)]
    print("\n".join(found) or f"Notebooks: {len(paths)} within the limits.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
