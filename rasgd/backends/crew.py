"""Worker processes: started, watched, ended."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sys
import time
import types

from rasgd.backends import worker as worker_module
from rasgd.backends.faults import WorkerFailure
from rasgd.backends.shipment import Shipment
from rasgd.backends.slots import SharedFile, Slots, unnamed_file

LOG_TAIL_BYTES = 2000


class Crew:
    """The n worker processes of one run and the pipes to them.

    Workers are forked from a server process that has torch loaded and nothing else, so a worker starts in
    milliseconds and inherits neither threads nor an initialised CUDA. All workers answer through one pipe: a token is
    shorter than PIPE_BUF, so it is written whole or not at all, also when its writer is killed.

    Args:
        shipment: the problem.
        seeds: of the samples.
        device: where workers compute.
        points, gradients: shared vectors.
    """

    def __init__(self, num_workers: int, shipment: Shipment, seeds, device: str, points: Slots, gradients: Slots):
        self.shipment, self.seeds, self.device = shipment, list(seeds), device
        self.points, self.gradients = points, gradients
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(["rasgd.backends.worker"])
        self.processes = [None] * num_workers
        self.jobs = [-1] * num_workers  # writing ends
        self.logs = [unnamed_file("log") for _ in range(num_workers)]
        self.tokens, self.token_writer = os.pipe()
        os.set_blocking(self.tokens, False)

    def start(self, worker: int) -> None:
        """Starts a worker, also in the place of one that has ended; it reports when it is ready."""
        reader, self.jobs[worker] = os.pipe()
        station = worker_module.Station(
            worker,
            self.shipment,
            self.seeds,
            self.device,
            self.points,
            self.gradients,
            SharedFile(reader),
            SharedFile(self.token_writer),
            self.logs[worker],
        )
        process = self.context.Process(
            target=worker_module.main, args=(station,), name=f"rasgd worker {worker}", daemon=True
        )
        try:
            with contextlib.nullcontext() if self.shipment.needs_main else main_module_hidden():
                process.start()
        finally:
            os.close(reader)
        self.processes[worker] = process

    def end(self, worker: int, seconds: float = 0.0) -> None:
        """Ends a worker: asks it to leave, waits, then kills it."""
        if self.jobs[worker] >= 0:
            os.close(self.jobs[worker])
            self.jobs[worker] = -1
        process = self.processes[worker]
        if process is None:
            return
        process.join(seconds)
        if process.exitcode is None:
            process.kill()
            process.join()
        process.close()
        self.processes[worker] = None

    def how_it_ended(self, worker: int) -> str:
        """What became of a worker whose process has ended by itself."""
        process = self.processes[worker]
        process.join()
        code = process.exitcode
        if code == worker_module.UNGUARDED:
            raise WorkerFailure(
                "worker processes import the main script for the classes that problem is made of, so the call with "
                "backend='processes' must stand under `if __name__ == '__main__':`"
            )
        return f"was killed by signal {-code}" if code < 0 else f"ended with exit status {code}"

    def send(self, worker: int, k: int, point: int, gradient: int, deadline: float) -> None:
        try:
            os.write(self.jobs[worker], worker_module.JOB.pack(k, point, gradient, deadline))
        except BrokenPipeError:
            return  # it has died, which its sentinel tells

    def wake(self) -> None:
        """Lets the server's wait for tokens return, also from a signal handler."""
        os.write(self.token_writer, worker_module.TOKEN.pack(-1, worker_module.WAKE, -1, 0.0, 0.0))

    def log_tail(self, worker: int) -> str:
        """The end of what the worker has written to its standard error."""
        log = self.logs[worker].descriptor
        size = os.fstat(log).st_size
        text = os.pread(log, LOG_TAIL_BYTES, max(0, size - LOG_TAIL_BYTES))
        return text.decode(errors="replace").strip()

    def close(self) -> None:
        for worker, descriptor in enumerate(self.jobs):  # all at once, so that they leave together
            if descriptor >= 0:
                os.close(descriptor)
                self.jobs[worker] = -1
        patience = time.monotonic() + 1.0
        for worker in range(len(self.processes)):
            self.end(worker, max(0.0, patience - time.monotonic()))
        for file in (*self.logs, self.shipment.file, self.points.file, self.gradients.file):
            file.close()
        for descriptor in (self.tokens, self.token_writer):
            os.close(descriptor)


@contextlib.contextmanager
def main_module_hidden():
    """Keeps processes that are started meanwhile from importing the main script once more.

    That import is only needed for classes that the script defines. Without it a script needs no guard, an interactive
    session works too, and a worker starts in milliseconds.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def refuse_unguarded_main() -> None:
    """Ends a worker that is only being started because the main script calls `simulate` at its top level."""
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        sys.stderr.flush()
        os._exit(worker_module.UNGUARDED)
