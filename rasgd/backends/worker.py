"""One worker process: reads a point, computes a gradient, answers with a token."""

from __future__ import annotations

import os
import select
import signal
import struct
import threading
import time
from typing import NamedTuple

import torch
from torch import Tensor

from rasgd.backends.shipment import Shipment
from rasgd.backends.slots import SharedFile, Slots
from rasgd.problems.base import Samples

JOB = struct.Struct("=qiid")  # k, point slot, gradient slot (ABORT: drop job k), deadline (0: answer at once)
TOKEN = struct.Struct("=iiqdd")  # worker, kind, k, time the gradient was ready, seconds it took
ABORT = -1
DONE, DROPPED, NOT_FINITE, READY, FAILED, WAKE = range(6)  # kinds of tokens; the first three answer a job
DIVERGED = 1e6  # a non-finite gradient at a point beyond this is the method's divergence, not the worker's fault
LONGEST_SLEEP = 3600.0  # at a time; a gradient that never comes is due at infinity
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
    try:
        with torch.no_grad():
            work(station)
    except BaseException:
        import traceback

        traceback.print_exc()
        os.write(station.tokens.descriptor, TOKEN.pack(station.worker, FAILED, -1, time.monotonic(), 0.0))
        os._exit(1)


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
    samples = Samples(problem, station.seeds)
    points, gradients = station.points.tensors, station.gradients.tensors
    gradient_at = on_cpu if station.device == "cpu" else on_device
    read, write, clock = os.read, os.write, time.monotonic
    # One gradient beforehand, so that the first job does not pay for loading kernels.
    begin = clock()
    gradient_at(problem, worker, points[0], samples(worker, 0))
    write(tokens, TOKEN.pack(worker, READY, -1, clock(), clock() - begin))
    while message := read(jobs, JOB.size):
        k, point, slot, deadline = JOB.unpack(message)
        if slot == ABORT:
            continue  # the job it was meant for is done
        x, begin = points[point], clock()
        gradient = gradient_at(problem, worker, x, samples(worker, k))
        gradients[slot].copy_(gradient)
        kind = DONE if healthy(gradient, x) else NOT_FINITE
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


def on_cpu(problem, worker: int, point: Tensor, sample) -> Tensor:
    return problem.gradient(worker, point, sample)


def on_device(problem, worker: int, point: Tensor, sample) -> Tensor:
    return problem.gradient(worker, point.to(problem.device), sample).to("cpu")


def healthy(gradient: Tensor, x: Tensor) -> bool:
    """False if a replica that has not diverged got a gradient with a non-finite entry."""
    if torch.isfinite(gradient.sum()):  # one cheap pass; a sum can overflow although every entry is finite
        return True
    sound = torch.isfinite(x).all(1) & (x.abs().amax(1) < DIVERGED)
    return bool(torch.isfinite(gradient[sound]).all())
