"""What every workflow job does around its work: one-line errors, and lines that reach both the log and the terminal."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Tee:
    """A text stream that writes to several."""

    def __init__(self, *streams):
        self.streams = streams

    def write(self, text: str) -> int:
        for stream in self.streams:
            stream.write(text)
            stream.flush()
        return len(text)

    def flush(self) -> None:
        for stream in self.streams:
            stream.flush()

    def isatty(self) -> bool:
        return False


@contextmanager
def job(path_to_log: str | Path, title: str) -> Iterator[Tee]:
    """Runs the block with a stream for its messages; wrong input ends the process with one line and exit status 1.

    Args:
        path_to_log: file that keeps the messages.
        title: names the job in front of a warning or an error.
    """
    Path(path_to_log).parent.mkdir(parents=True, exist_ok=True)
    with open(path_to_log, "w") as log:
        both = Tee(log, sys.stderr)
        warnings.showwarning = lambda message, *_, **__: print(f"{title}: warning: {message}", file=both)
        try:
            yield both
        except (ValueError, OSError) as error:
            line = " ".join(str(error).split())
            print(f"{title}: error: {line}", file=log)
            log.flush()
            sys.exit(f"\n{title}: error: {line}\n")
