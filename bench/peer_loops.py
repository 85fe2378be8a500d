"""The same asynchronous server and workers on other foundations: a bare loop, torch.distributed.rpc, Ray actors.

Every loop does the work of vanilla ASGD and nothing else: a worker computes a gradient at the x it was given, the
server makes x ← x − γ g and gives the new x to that worker. Each returns server updates per second.
"""

from __future__ import annotations

import mmap
import os
import socket
import struct
import threading
import time
import warnings
from dataclasses import dataclass

import torch
import torch.multiprocessing as multiprocessing
from torch import Tensor

from rasgd.problems.base import Problem, Samples

STEP_SIZE = 1e-3
TOKEN = struct.Struct("=i")
STOP = -1


class Trivial(Problem):
    """A gradient that costs one pass over x, so that everything else shows."""

    dtype = torch.float32

    def __init__(self, num_workers: int, dim: int):
        self.num_workers, self.dim = num_workers, dim

    def initial_point(self, seed: int) -> Tensor:
        return torch.ones(self.dim)

    def draw(self, draws, worker):
        return None

    def gradient(self, worker, x, sample):
        return x * 1e-3

    def gradient_into(self, worker, x, sample, out):
        torch.mul(x, 1e-3, out=out)

    def evaluate(self, x):
        return {"loss": x[:, 0], "grad_norm_sq": x[:, 0]}


@dataclass
class Computation:
    """Gradients of one worker, with samples as in a run."""

    problem: Problem
    worker: int

    def __post_init__(self):
        torch.set_num_threads(1)
        torch.set_grad_enabled(False)
        self.samples, self.k = Samples(self.problem, [0]), 0

    def __call__(self, x: Tensor) -> Tensor:
        self.k += 1
        return self.problem.gradient(self.worker, x, self.samples(self.worker, self.k - 1))


def bare(problem: Problem, seconds: float) -> float:
    """Shared memory, pipes with four-byte tokens, no books, no faults, no abort."""
    n, d = problem.num_workers, problem.dim
    points, gradients = shared(n, d), shared(n, d)
    tokens, token_writer = os.pipe()
    pipes = [os.pipe() for _ in range(n)]
    context = multiprocessing.get_context("fork")
    arguments = (problem, points, gradients, token_writer)
    workers = [
        context.Process(target=bare_worker, args=(worker, pipes[worker][0], *arguments), daemon=True)
        for worker in range(n)
    ]
    for process in workers:
        process.start()
    x = problem.initial_point(0)[None]
    updates, rate = 0, 0.0
    for worker in range(n):
        points[worker].copy_(x)
        os.write(pipes[worker][1], TOKEN.pack(worker))
    for measured in (False, True):  # the first stretch warms up
        begin, updates = time.monotonic(), 0
        while (elapsed := time.monotonic() - begin) < (seconds if measured else 0.2):
            for (worker,) in TOKEN.iter_unpack(os.read(tokens, 256)):
                x.add_(gradients[worker], alpha=-STEP_SIZE)
                points[worker].copy_(x)
                os.write(pipes[worker][1], TOKEN.pack(worker))
                updates += 1
        rate = updates / elapsed
    for worker, process in enumerate(workers):
        os.write(pipes[worker][1], TOKEN.pack(STOP))
        process.join()
    for descriptor in (tokens, token_writer, *(end for pipe in pipes for end in pipe)):
        os.close(descriptor)
    return rate


def shared(n: int, d: int) -> list[Tensor]:
    stride = -(-d * 4 // 128) * 128
    memory = mmap.mmap(-1, n * stride)
    return [torch.frombuffer(memory, dtype=torch.float32, count=d, offset=i * stride)[None] for i in range(n)]


def bare_worker(worker: int, pipe: int, problem: Problem, points, gradients, token_writer: int) -> None:
    compute = Computation(problem, worker)
    x, gradient, token = points[worker], gradients[worker], TOKEN.pack(worker)
    trivial = isinstance(problem, Trivial)
    while TOKEN.unpack(os.read(pipe, TOKEN.size))[0] != STOP:
        if trivial:
            torch.mul(x, 1e-3, out=gradient)
        else:
            gradient.copy_(compute(x))
        os.write(token_writer, token)
    os._exit(0)


class RpcServer:
    """x in the process that serves; the class holds it because remote calls name functions, not objects."""

    x: Tensor
    updates = 0
    ended = False
    lock = threading.Lock()

    @classmethod
    def push(cls, gradient: Tensor | None) -> Tensor:
        """The new x; an empty one when all is over."""
        with cls.lock:
            if cls.ended:
                return cls.x[:, :0]
            if gradient is not None:
                cls.x = cls.x - STEP_SIZE * gradient
                cls.updates += 1
            return cls.x


def rpc(problem: Problem, seconds: float) -> float:
    """torch.distributed.rpc over TensorPipe: a worker pushes its gradient and gets the new x back."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("spawn")
    queue, size = context.Queue(), problem.num_workers + 1
    processes = [
        context.Process(target=rpc_process, args=(rank, size, port, problem, seconds, queue)) for rank in range(size)
    ]
    for process in processes:
        process.start()
    while queue.empty() and processes[0].is_alive():
        time.sleep(0.05)
    rate = queue.get() if processes[0].is_alive() or not queue.empty() else float("nan")
    for process in processes:
        process.join(20)
        process.kill()
    if rate != rate:
        raise RuntimeError(f"the server of torch.distributed.rpc ended with exit status {processes[0].exitcode}")
    return rate


def rpc_process(rank: int, size: int, port: int, problem: Problem, seconds: float, queue) -> None:
    from torch.distributed import rpc

    warnings.simplefilter("ignore")  # its own use of what torch.distributed calls deprecated
    os.environ |= {"GLOO_SOCKET_IFNAME": "lo", "TP_SOCKET_IFNAME": "lo"}
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    options = rpc.TensorPipeRpcBackendOptions(init_method=f"tcp://127.0.0.1:{port}", num_worker_threads=size)
    RpcServer.x = problem.initial_point(0)[None]
    rpc.init_rpc("server" if rank == 0 else f"worker{rank}", rank=rank, world_size=size, rpc_backend_options=options)
    if rank == 0:
        while RpcServer.updates == 0:
            time.sleep(0.01)
        time.sleep(0.2)
        begin, before = time.monotonic(), RpcServer.updates
        time.sleep(seconds)
        queue.put((RpcServer.updates - before) / (time.monotonic() - begin))
        RpcServer.ended = True
    else:
        compute = Computation(problem, rank - 1)
        x = rpc.rpc_sync("server", RpcServer.push, args=(None,))
        while x.numel():
            x = rpc.rpc_sync("server", RpcServer.push, args=(compute(x),))
    rpc.shutdown()


def ray_actors(problem: Problem, seconds: float) -> float:
    """A parameter server as in Ray's documentation: gradients and weights are objects in its store."""
    import ray

    n = problem.num_workers
    ray.init(
        num_cpus=n + 1,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="error",
        _node_ip_address="127.0.0.1",
    )

    @ray.remote
    class Server:
        def __init__(self, x):
            self.x = torch.from_numpy(x).clone()

        def apply(self, gradient):
            if gradient is not None:
                self.x = self.x - STEP_SIZE * torch.from_numpy(gradient)
            return self.x.numpy()

    @ray.remote
    class Worker:
        def __init__(self, problem, worker):
            self.compute = Computation(problem, worker)

        def gradient(self, x):
            return self.compute(torch.from_numpy(x.copy() if not x.flags.writeable else x)).numpy()

    try:
        server = Server.remote(problem.initial_point(0)[None].numpy())
        workers = [Worker.remote(problem, worker) for worker in range(n)]
        weights = server.apply.remote(None)
        computing = {worker.gradient.remote(weights): worker for worker in workers}
        rate = 0.0
        for measured in (False, True):
            begin, updates = time.monotonic(), 0
            while (elapsed := time.monotonic() - begin) < (seconds if measured else 1.0):
                (ready,), _ = ray.wait(list(computing))
                worker = computing.pop(ready)
                computing[worker.gradient.remote(server.apply.remote(ready))] = worker
                updates += 1
            rate = updates / elapsed
        return rate
    finally:
        ray.shutdown()
