"""Checkpoints: the whole state of a run in one file, from which the same call goes on."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from rasgd.files import replacing
from rasgd.problems.base import Problem
from rasgd.simulation.fingerprint import difference
from rasgd.trajectory import Trajectory
from rasgd.validation import shown

FORMAT = 2
SIGNALS = (signal.SIGINT, signal.SIGTERM)


def do_nothing() -> None:
    pass


class Requests:
    """Whether a run is asked to interrupt its work; without checkpoints nobody asks, and nothing is kept."""

    pending = False
    finished: tuple | list[dict] = ()  # packed trajectories of the passes that are done

    def reach(self, wake: Callable[[], None]) -> None:
        """Says how to wake the backend of the run that is to notice a request."""

    def load(self) -> dict | None:
        return None

    def answer(self, run) -> None:
        self.pending = False

    def pass_done(self, trajectory: Trajectory) -> None:
        pass


class Checkpoints(Requests):
    """One file that holds the state of a call of `rasgd.simulate`, and who asks for it to be written.

    A timer asks every so often; SIGINT and SIGTERM ask, and end the call afterwards. A second SIGINT ends it at once.

    Args:
        path: of the file.
        every: seconds on the wall between checkpoints.
        problem: of the call; a file of another one is refused.
        fingerprint: of the problem.
        identity: what else must agree for a run to go on from the file, as JSON values.
    """

    def __init__(self, path: str | os.PathLike, every: float, problem: Problem, fingerprint: dict, identity: dict):
        self.path, self.every, self.identity = Path(path), every, json.loads(json.dumps(identity))
        self.problem, self.fingerprint = problem, fingerprint
        self.finished = []
        self.signal = None
        self.wake, self.waking = do_nothing, threading.RLock()
        self.ended = threading.Event()
        self.handlers = {}

    def __enter__(self) -> Checkpoints:
        if threading.current_thread() is threading.main_thread():
            self.handlers = {number: signal.signal(number, self.on_signal) for number in SIGNALS}
        threading.Thread(target=self.ask_regularly, daemon=True).start()
        return self

    def __exit__(self, failure, *_) -> None:
        self.ended.set()
        for number, handler in self.handlers.items():
            signal.signal(number, handler)
        if failure is not None:
            return
        if self.signal is not None:  # it came when no arrival was left, so all passes are done
            self.save(None)
            self.stop()
        self.path.unlink(missing_ok=True)

    def ask_regularly(self) -> None:
        while not self.ended.wait(self.every):
            self.pending = True
            with self.waking:
                self.wake()

    def reach(self, wake: Callable[[], None]) -> None:
        with self.waking:  # so that nobody is woken who has closed meanwhile
            self.wake = wake

    def on_signal(self, number: int, frame) -> None:
        if self.signal is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal, self.pending = number, True
        self.wake()

    def answer(self, run) -> None:
        """Writes the state of the run, and ends the call if a signal asked for that."""
        self.pending = False
        self.save(run.state())
        if self.signal is not None:
            self.stop()

    def stop(self) -> None:
        """Ends the call as the signal asked for."""
        name = signal.Signals(self.signal).name
        print(f"stopped by {name}; the same call goes on from {self.path}", file=sys.stderr, flush=True)
        raise KeyboardInterrupt if self.signal == signal.SIGINT else SystemExit(128 + self.signal)

    def save(self, state: dict | None) -> None:
        content = {"format": FORMAT, "identity": self.identity, "fingerprint": self.fingerprint}
        content |= {"finished": self.finished, "run": state}
        with replacing(self.path) as temporary:
            torch.save(content, temporary)

    def load(self) -> dict | None:
        """The state to go on from, or None between passes; removes what a killed writer has left.

        Raises:
            ValueError: if the file is damaged, or belongs to another call.
        """
        if self.path.parent.is_dir():
            for entry in self.path.parent.iterdir():
                if entry.name.startswith(f".{self.path.name}."):
                    shutil.rmtree(entry, ignore_errors=True)
        if not self.path.exists():
            return None
        try:
            content = torch.load(self.path, weights_only=True)
            form, identity, finished, state = (content[name] for name in ("format", "identity", "finished", "run"))
            fingerprint = content["fingerprint"] if form == FORMAT else None
        except (OSError, RuntimeError, KeyError, TypeError, EOFError, ValueError, pickle.UnpicklingError) as error:
            raise ValueError(f"checkpoint {self.path} is damaged ({type(error).__name__})") from None
        if form != FORMAT:
            raise ValueError(f"checkpoint {self.path} was written by another version of rasgd")
        for name, value in self.identity.items():
            if (known := identity.get(name)) != value:
                raise ValueError(
                    f"checkpoint {self.path} belongs to another call: {name} was {shown(known)}, got {shown(value)}"
                )
        if what := difference(fingerprint, self.problem):
            raise ValueError(f"checkpoint {self.path} belongs to another problem, {what}")
        self.finished = finished
        return state

    def pass_done(self, trajectory: Trajectory) -> None:
        self.finished.append(packed_trajectory(trajectory))


def packed(name: str, value):
    """The value as tensors, numbers, strings, None, lists, tuples and dicts.

    Raises:
        ValueError: naming the attribute that holds anything else.
    """
    if isinstance(value, np.generic):  # asked first: np.float64 is a float, too
        return value.item()
    if value is None or isinstance(value, torch.Tensor | int | float | str):
        return value
    if isinstance(value, list):
        return [packed(name, entry) for entry in value]
    if isinstance(value, tuple):
        return tuple(packed(name, entry) for entry in value)
    if isinstance(value, dict):
        return {packed(name, key): packed(name, entry) for key, entry in value.items()}
    raise ValueError(f"attribute {name} must be made of tensors, numbers, strings, lists and dicts, got {type(value)}")


def packed_arrays(arrays: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(np.ascontiguousarray(values)) for name, values in arrays.items()}


def unpacked_arrays(tensors: dict[str, torch.Tensor]) -> dict[str, np.ndarray]:
    return {name: values.numpy() for name, values in tensors.items()}


def packed_trajectory(trajectory: Trajectory) -> dict:
    return {
        "columns": packed_arrays(trajectory.columns),
        "replicas": packed_arrays(trajectory.replicas),
        "description": json.dumps([trajectory.statistics, trajectory.metadata]),
        "final_points": torch.from_numpy(trajectory.final_points),
        "arrivals": None if trajectory.arrivals is None else packed_arrays(trajectory.arrivals),
    }


def unpacked_trajectory(packed: dict) -> Trajectory:
    statistics, metadata = json.loads(packed["description"])
    return Trajectory(
        columns=unpacked_arrays(packed["columns"]),
        replicas=unpacked_arrays(packed["replicas"]),
        statistics=statistics,
        final_points=packed["final_points"].numpy(),
        metadata=metadata,
        arrivals=None if packed["arrivals"] is None else unpacked_arrays(packed["arrivals"]),
    )


def method_state(method) -> dict:
    """Everything a method is, its random generator included."""
    given = ("generator", "placed_addcmul")  # by the run
    state = {name: packed(name, value) for name, value in vars(method).items() if name not in given}
    return {
        "attributes": state,
        "generator": None if method.generator is None else method.generator.bit_generator.state,
    }


def restore_method(method, state: dict) -> None:
    vars(method).update(state["attributes"])
    if method.generator is not None:
        method.generator.bit_generator.state = state["generator"]
