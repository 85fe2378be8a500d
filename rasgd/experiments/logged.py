"""What every workflow job does around its work: one-line errors, and lines that reach both the log and the terminal."""

from __future__ import annotations

import logging
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
    """Runs the block with a stream for its messages; wrong input ends the process with its message and exit status 1.

    What the block logs and warns of goes to the stream too.

    Args:
        path_to_log: file that keeps the messages.
        title: names the job in front of a warning or an error.
    """
    Path(path_to_log).parent.mkdir(parents=True, exist_ok=True)
    with open(path_to_log, "w") as log:
        both = Tee(log, sys.stderr)
        handler = logging.StreamHandler(both)
        logging.getLogger().addHandler(handler)
        logging.getLogger("rasgd").setLevel(logging.INFO)  # other libraries' chatter would fill the logs
        show = warnings.showwarning
        warnings.showwarning = lambda message, *_, **__: print(f"{title}: warning: {message}", file=both)
        try:
            yield both
        except (ValueError, OSError) as error:
            print(f"{title}: error: {error}", file=log)
            sys.exit(f"{title}: error: {error}")
        finally:
            warnings.showwarning = show
            logging.getLogger().removeHandler(handler)
