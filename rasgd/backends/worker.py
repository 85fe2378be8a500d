"""One worker process: reads a point, computes a gradient, answers with a token."""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
import select
import signal
import struct
import threading
import time
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from rasgd.backends.shipment import Shipment
from rasgd.backends.slots import SHORT_BYTES, SharedFile, Slots
from rasgd.problems.base import Samples

JOB = struct.Struct("=qiid")  # k, point slot, gradient slot (ABORT: drop job k), deadline (0: answer at once)
TOKEN = struct.Struct("=iiqdd")  # worker, kind, k, time the gradient was ready, seconds it took
ABORT = -1
DONE, DROPPED, NOT_FINITE, READY, FAILED, WAKE = range(6)  # kinds of tokens; the first three answer a job
DIVERGED = 1e6  # a non-finite gradient at a point beyond this is the method's divergence, not the worker's fault
LONGEST_SLEEP = 3600.0  # at a time; a gradient that never comes is due at infinity
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
UNGUARDED = 86  # exit status of a worker whose import of the main script started workers again


class Station(NamedTuple):
    """Everything a worker is given when it starts."""

    worker: int
    shipment: Shipment
    seeds: list[int]
    device: str
    points: Slots
    gradients: Slots
    jobs: SharedFile
    tokens: SharedFile
    log: SharedFile


def main(station: Station) -> None:
    """Runs until the server closes the pipe of jobs or is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server decides when to stop
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.dup2(station.log.descriptor, 2)
    threading.Thread(target=leave_with_server, args=(station.jobs.descriptor,), daemon=True).start()
    torch.set_num_threads(1)
    keep_freed_memory()
    try:
        with torch.no_grad():
            work(station)
    except BaseException:
        import traceback

        traceback.print_exc()
        os.write(station.tokens.descriptor, TOKEN.pack(station.worker, FAILED, -1, time.monotonic(), 0.0))
        os._exit(1)


def keep_freed_memory() -> None:
    """Lets the C library reuse large blocks: returning each gradient to the system costs a page fault per 4 KiB."""
    with contextlib.suppress(OSError, AttributeError):  # only glibc has mallopt
        library = ctypes.CDLL(None)
        for parameter in (M_MMAP_THRESHOLD, M_TRIM_THRESHOLD):
            library.mallopt(parameter, 2**31 - 1)


def leave_with_server(jobs: int) -> None:
    """Ends the process when nobody holds the writing end of the pipe any more, whatever the process is doing."""
    poll = select.poll()
    poll.register(jobs, 0)  # hang-ups only
    poll.poll()
    os._exit(0)


def work(station: Station) -> None:
    worker, jobs, tokens = station.worker, station.jobs.descriptor, station.tokens.descriptor
    problem = station.shipment.unpack()
    if station.device != "cpu":
        problem = problem.to(station.device)
    samples = Samples(problem, station.seeds, num_workers=1)
    points, gradients = station.points.tensors, station.gradients.tensors
    vectors = [array.reshape(-1) for array in station.gradients.arrays]
    short = vectors[0].nbytes <= SHORT_BYTES
    gradient_into = problem.gradient_into if station.device == "cpu" else partial(on_device, problem)
    read, write, clock = os.read, os.write, time.monotonic
    # One gradient beforehand, so that the first job does not pay for loading kernels.
    begin = clock()
    gradient_into(worker, points[0], samples(worker, 0), torch.empty_like(points[0]))
    write(tokens, TOKEN.pack(worker, READY, -1, clock(), clock() - begin))
    while message := read(jobs, JOB.size):
        k, point, slot, deadline = JOB.unpack(message)
        if slot == ABORT:
            continue  # the job it was meant for is done
        x, gradient, begin = points[point], gradients[slot], clock()
        gradient_into(worker, x, samples(worker, k), gradient)
        if short:  # one cheap pass; squares and sums can overflow although every entry is finite
            suspect = not math.isfinite(vectors[slot].dot(vectors[slot]))
        else:
            suspect = not math.isfinite(gradient.sum().item())
        kind = NOT_FINITE if suspect and not healthy(gradient, x) else DONE
        end = clock()
        if deadline > end and (dropped := interrupted(jobs, deadline)) is not None:
            if not dropped:
                return
            kind = DROPPED
        write(tokens, TOKEN.pack(worker, kind, k, end, end - begin))


def interrupted(jobs: int, deadline: float) -> bytes | None:
    """Sleeps until the deadline; what the server has sent meanwhile, which can only be an abort (or its end)."""
    while (remaining := deadline - time.monotonic()) > 0:
        if select.select([jobs], [], [], min(remaining, LONGEST_SLEEP))[0]:
            return os.read(jobs, JOB.size)
    return None


def on_device(problem, worker: int, point: Tensor, sample, out: Tensor) -> None:
    out.copy_(problem.gradient(worker, point.to(problem.device), sample))


def healthy(gradient: Tensor, x: Tensor) -> bool:
    """False if a replica that has not diverged got a gradient with a non-finite entry."""
    sound = torch.isfinite(x).all(1) & (x.abs().amax(1) < DIVERGED)
    return bool(torch.isfinite(gradient[sound]).all())
