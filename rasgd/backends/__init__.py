"""Where gradients come from, by name: a virtual clock, real processes, or the arrivals of an earlier run.

To add one: write its file, add its row.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, NamedTuple

from rasgd.declared import Arguments, arguments

if TYPE_CHECKING:
    from rasgd.backends.base import Backend

FROM_RUN = ("problem", "compute_times", "samples", "seeds", "num_replicas", "device")  # arguments that are no options


class BackendRow(NamedTuple):
    """A backend without its code, which takes a second to import.

    Attributes:
        home: its class, below rasgd.
        wall_clock: its seconds pass by themselves, so no schedule repeats and other work on the machine slows it down.
        replays: it needs the arrivals of an earlier run, which only `rasgd.replay` has.
    """

    home: str
    wall_clock: bool = False
    replays: bool = False

    @property
    def option_names(self) -> tuple[str, ...]:
        """What a run may choose about the backend."""
        return tuple(name for name in arguments(self.home).names if name not in FROM_RUN)

    @property
    def type(self) -> type[Backend]:
        module, _, name = self.home.rpartition(".")
        return getattr(importlib.import_module(f"rasgd.{module}"), name)


BACKENDS = {
    "simulator": BackendRow("backends.simulator.Simulator"),
    "processes": BackendRow("backends.processes.Processes", wall_clock=True),
    "recording": BackendRow("backends.recording.Recording", replays=True),
}


def check_options(backend: str, options: dict) -> None:
    """Refuses a backend that there is not, and options that it does not have.

    Raises:
        ValueError: naming the argument, what was given and what is allowed.
    """
    allowed = [name for name, row in BACKENDS.items() if not row.replays]
    if backend not in allowed:
        raise ValueError(f"backend must be one of {', '.join(allowed)}, got {backend!r}")
    Arguments(BACKENDS[backend].option_names, ()).refuse(options, f"backend_options: {backend}")
