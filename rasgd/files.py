"""Files appear whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


@contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """A temporary name beside `path`, with its ending, that becomes `path` when the block succeeds.

    Folders that are missing are made. When the block fails, `path` keeps what it held and nothing else is left behind.

    Raises:
        ValueError: naming the path and why it cannot be written.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # A folder rather than a file: its contents get the permissions of an ordinary new file.
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
            temporary = Path(folder) / path.name
            yield temporary
            os.replace(temporary, path)
    except OSError as error:
        raise ValueError(f"cannot write {path}: {error.strerror or error}") from error


def save_parquet(table: pd.DataFrame, path: str | os.PathLike) -> None:
    """Writes a table; the same rows give the same bytes."""
    with replacing(path) as temporary:
        table.to_parquet(temporary, compression="zstd", index=False)
