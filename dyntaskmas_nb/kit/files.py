"""Files the kit writes for its user."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from dyntaskmas_nb.errors import StoreError


def write_whole(path: Path, text: str) -> Path:
    """Write a file so that it is there whole or not at all."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            os.chmod(name, 0o644)  # mkstemp's files are the owner's alone
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
            raise
    except OSError as error:
        raise StoreError(f"{path} cannot be written ({error.strerror}). Choose another place.") from None
    return path
