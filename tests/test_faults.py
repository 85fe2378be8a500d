"""Real workers that are killed, crash, hang or answer nonsense; a server that is stopped or killed."""

import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import torch

import rasgd
from rasgd import instants
from rasgd.backends.faults import WorkerFailure
from rasgd.methods import METHODS

TIMES = [1.0, 1.37, 2.11]


class Faulty(rasgd.Quadratic):
    """Worker 1 does something bad while it computes one of its gradients, once if there is a file to note it in."""

    def __init__(self, what, at=4, once=None):
        super().__init__(np.eye(3), np.arange(9.0).reshape(3, 3), noise_std=0.1)
        self.what, self.at, self.once, self.seen = what, at, str(once) if once else None, 0

    def gradient(self, worker, x, sample):
        if multiprocessing.parent_process() is None:
            return super().gradient(worker, x, sample)  # the server's machine is sound
        self.seen += 1
        if worker == 1 and self.seen > self.at and not (self.once and os.path.exists(self.once)):
            if self.once:
                open(self.once, "w").close()
            if self.what == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            if self.what == "crash":
                raise RuntimeError("the disk of this node is full")
            if self.what == "hang":
                os.kill(os.getpid(), signal.SIGSTOP)
            if self.what == "nonsense":
                return super().gradient(worker, x, sample) * torch.nan
        return super().gradient(worker, x, sample)


def run(problem, method="rescaled", until=20.0, record=True, checkpoint=None, **options):
    options = {"time_scale": 0.03} | options
    arguments = dict(step_size=0.05, until=until, eval_every=5.0, record=record, checkpoint=checkpoint)
    return rasgd.simulate(problem, method, TIMES, backend="processes", backend_options=options, **arguments)


HOW = {
    "kill": "was killed by signal 9",
    "crash": "ended with exit status 1",
    "hang": "was silent for",
    "nonsense": "returned a gradient that is not finite",
}


@pytest.mark.parametrize(("method", "what"), [("minibatch", "kill"), *(("rescaled", what) for what in HOW)])
def test_a_failed_worker_is_restarted_and_goes_on_with_its_next_gradient(tmp_path, capfd, method, what):
    # A hang is noticed after 0.8 s, 27 s of this run, and restarting takes its time on a busy machine.
    options = {} if what == "hang" else {"hang_seconds": 30.0}
    t = run(Faulty(what, once=tmp_path / "done"), method, until=70.0, **options)
    fault = t.statistics["faults"][0]
    assert fault["worker"] == 1
    assert HOW[what] in fault["what"]
    message = capfd.readouterr().err
    assert f"worker 1 {HOW[what]}" in message
    assert ("the disk of this node is full" in message) == (what == "crash")
    ks = t.trace.k[t.trace.worker == 1].to_numpy()
    assert np.setdiff1d(np.arange(ks.max()), ks)[0] == 3  # its fourth gradient is lost (one warmed it up)
    assert t.statistics["lost_jobs"] == len(t.statistics["faults"])
    replayed = rasgd.replay(Faulty("nothing"), method, t.trace)
    assert np.array_equal(replayed.final_points, t.final_points)
    assert replayed.statistics == {name: t.statistics[name] for name in replayed.statistics}


def test_a_killed_worker_is_noticed_within_a_second(tmp_path):
    t = run(Faulty("kill", once=tmp_path / "done"), time_scale=0.1, until=15.0)
    # Lost while it computed its fourth gradient, which started at 3 · 1.37 s.
    assert t.statistics["faults"][0]["time"] - 3 * 1.37 < 1.0 / 0.1


@pytest.mark.parametrize("method", [name for name, method in METHODS.items() if hasattr(method, "leave")])
def test_a_run_goes_on_without_a_dropped_worker_and_replays(method):
    t = run(Faulty("kill"), method, until=30.0, on_fault="drop")
    assert t.metadata["departures"][0][1] == 1
    assert 0 < t.statistics["arrivals"][1] <= 3  # of which Rennala SGD aborts some
    assert t.statistics["arrivals"][2] >= 6
    again = rasgd.replay(Faulty("nothing"), method, t.trace)
    assert np.array_equal(again.final_points, t.final_points)
    assert again.statistics == {name: t.statistics[name] for name in again.statistics}
    assert sum(t.effective_weights) == pytest.approx(1.0)


def test_dropping_is_refused_for_methods_that_need_every_worker():
    with pytest.raises(ValueError, match="on_fault must be 'restart' or 'fail' for Ringleader ASGD"):
        run(Faulty("kill"), "ringleader", on_fault="drop")


def test_minibatch_completes_the_step_that_waits_for_the_worker_that_leaves():
    method = METHODS["minibatch"](torch.zeros(1, 1), torch.ones(1, 1), 3)
    arrival = rasgd.Arrival(0, torch.ones(1, 1), 0, 1.0, 1.0)
    assert method.receive(arrival) == []
    assert method.leave(0) == []  # its gradient is there already
    assert method.receive(arrival._replace(worker=1, gradient=torch.full((1, 1), 3.0))) == []
    assert [job.worker for job in method.leave(2)] == [1]
    assert method.x.item() == -2.0  # the mean of 1 and 3
    assert [job.worker for job in method.receive(arrival._replace(worker=1, gradient=torch.ones(1, 1)))] == [1]
    assert method.x.item() == -3.0


def test_the_policy_fail_ends_the_run_with_the_end_of_the_log():
    with pytest.raises(WorkerFailure, match=r"worker 1 ended with exit status 1(.|\n)*the disk of this node is full"):
        run(Faulty("crash"), on_fault="fail")


def test_a_worker_that_always_fails_is_given_up():
    with pytest.raises(WorkerFailure, match="failure 3 in a row, more than max_restarts=2"):
        run(Faulty("crash", at=1), max_restarts=2, until=1000.0)


def test_a_worker_that_fails_at_its_start_fails_the_run():
    with pytest.raises(WorkerFailure, match="worker 1 ended with exit status 1 when it started"):
        run(Faulty("crash", at=0))


@pytest.mark.parametrize("what", ["hang", "kill"])
def test_a_worker_that_fails_while_times_are_measured_fails_the_run(what):
    with pytest.raises(WorkerFailure, match=f"worker 1 {HOW[what]}.* while its times were measured"):
        rasgd.simulate(
            Faulty(what), "asgd", None, 0.1, until=1.0, backend="processes", backend_options={"times": "measured"}
        )


def test_divergence_is_not_taken_for_a_fault():
    problem = rasgd.Quadratic(np.eye(3), np.ones((3, 3)))
    t = rasgd.simulate(
        problem, "asgd", TIMES, [0.1, 1e200], until=20.0, backend="processes", backend_options={"time_scale": 0.01}
    )
    assert t.statistics["faults"] == []
    assert np.isfinite(t.replicas["diverged_at"]).tolist() == [False, True]


class Sluggish(rasgd.Quadratic):
    def gradient(self, worker, x, sample):
        if worker == 1 and sample is not None:
            time.sleep(2.6)
        return super().gradient(worker, x, sample)


def test_the_server_says_whom_it_waits_for(capfd):
    problem = Sluggish(np.eye(2), np.ones((2, 2)), noise_std=1.0)
    arguments = dict(step_size=0.1, until=1.0, backend="processes", backend_options={"time_scale": 0.1})
    rasgd.simulate(problem, "minibatch", [0.5, 0.6], **arguments | {"until": 28.0})
    assert "waiting for worker 1, silent for 2 s" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"on_fault": "ignore"}, "on_fault must be one of restart, drop, fail, got 'ignore'"),
        ({"max_restarts": -1}, "max_restarts must be a whole number of at least 0, got -1"),
        ({"hang_seconds": 0}, "hang_seconds must be a positive number of seconds or None, got 0"),
        ({"times": "guessed"}, "times must be 'emulated' or 'measured', got 'guessed'"),
        ({"times": "measured"}, "time_scale must be 1 with measured times"),
        (
            {"times": "measured", "time_scale": 1},
            "compute_times must be given for emulated times and None for measured",
        ),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        run(Faulty("kill"), **options)


SERVER = """
import sys
import test_faults
from rasgd.backends import processes

started = processes.Processes.start_workers
def announce(self):
    started(self)
    print(*(process.pid for process in self.crew.processes), flush=True)
processes.Processes.start_workers = announce
test_faults.served(sys.argv[1])
"""


def served(checkpoint, checkpoint_every=0.3):
    problem = rasgd.Quadratic(np.eye(3), np.arange(9.0).reshape(3, 3), noise_std=0.1)
    options = {"time_scale": 0.01}
    arguments = dict(step_size=0.05, until=200.0, eval_every=100.0, record=True, checkpoint_every=checkpoint_every)
    t = rasgd.simulate(
        problem, "rescaled", TIMES, backend="processes", backend_options=options, checkpoint=checkpoint, **arguments
    )
    return problem, t


def start_server(tmp_path):
    script = tmp_path / "server.py"
    script.write_text(SERVER)
    folders = [os.path.dirname(os.path.dirname(rasgd.__file__)), os.path.dirname(__file__)]
    server = subprocess.Popen(
        [sys.executable, script, tmp_path / "run.checkpoint"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(folders)},
        start_new_session=True,
    )
    return server, [int(pid) for pid in server.stdout.readline().split()]


def assert_complete(t):
    """The run has gone on to its horizon, and every evaluation saw exactly the arrivals until then."""
    durations = t.trace.groupby("worker").duration.max()
    assert t.trace.time.max() > t.metadata["until"] - durations.max()
    for row in t.metrics.itertuples():
        assert row.updates == (t.trace.time <= instants.latest(row.time)).sum()


def test_frequent_checkpoints_do_not_cut_a_real_run_short(tmp_path):
    problem, t = served(tmp_path / "run.checkpoint", checkpoint_every=0.003)
    assert_complete(t)
    assert np.array_equal(rasgd.replay(problem, "rescaled", t.trace).final_points, t.final_points)


def wait_until(condition, seconds):
    patience = time.monotonic() + seconds
    while not condition() and time.monotonic() < patience:
        time.sleep(0.02)
    return condition()


def gone(pids):
    return not any(running(pid) for pid in pids)


def running(pid):
    """Whether the process exists, if only stopped; one that waits to be reaped by init has gone."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_server_that_is_stopped_or_killed_leaves_nobody_behind_and_resumes(tmp_path, number):
    server, workers = start_server(tmp_path)
    assert len(workers) == 3
    assert wait_until((tmp_path / "run.checkpoint").exists, 20)
    if number == signal.SIGINT:
        os.killpg(server.pid, number)  # as from a keyboard, to workers too
    else:
        server.send_signal(number)
    assert wait_until(lambda: server.poll() is not None, 5)
    assert wait_until(lambda: gone(workers), 2)
    errors = server.communicate()[1]
    expected = {signal.SIGINT: -signal.SIGINT, signal.SIGTERM: 143, signal.SIGKILL: -signal.SIGKILL}
    assert server.returncode == expected[number]
    assert ("the same call goes on from" in errors) == (number != signal.SIGKILL)
    problem, t = served(tmp_path / "run.checkpoint")
    # The trace of both parts together replays bit for bit, and no gradient is missing: those in flight were done again.
    assert np.array_equal(rasgd.replay(problem, "rescaled", t.trace).final_points, t.final_points)
    for worker in range(3):
        ks = t.trace.k[t.trace.worker == worker].to_numpy()
        assert np.array_equal(ks, np.arange(len(ks)))
    assert_complete(t)
    assert [path.name for path in tmp_path.iterdir()] == ["server.py"]


def soak(num_faults, seed):
    """A run whose eight workers are killed and stopped at random."""
    from rasgd.backends import processes

    generator, crews = np.random.default_rng(seed), []

    class Watched(processes.Processes):
        def start_workers(self):
            crews.append(self)
            super().start_workers()

    done = threading.Event()

    def attack():
        while not crews or crews[-1].start is None:
            time.sleep(0.01)
        for _ in range(num_faults):
            time.sleep(generator.uniform(0.02, 0.1))
            process = crews[-1].crew.processes[int(generator.integers(8))]
            if done.is_set():
                return
            try:
                os.kill(process.pid, signal.SIGKILL if generator.random() < 0.8 else signal.SIGSTOP)
            except (AttributeError, ValueError, ProcessLookupError):
                continue  # it is being restarted

    original, processes.Processes = processes.Processes, Watched
    attacker = threading.Thread(target=attack, daemon=True)
    attacker.start()
    try:
        problem = rasgd.Quadratic(np.eye(200), np.arange(1600.0).reshape(8, 200), noise_std=0.1)
        t = rasgd.simulate(
            problem,
            "rescaled",
            [1.0, 1.3, 1.7, 2.1, 2.9, 3.1, 4.3, 5.7],
            0.01,
            until=num_faults * 0.07 / 0.005,
            backend="processes",
            backend_options={"time_scale": 0.005, "max_restarts": 100, "hang_seconds": 0.3},
            record=True,
        )
    finally:
        done.set()
        processes.Processes = original
        attacker.join()
    return problem, t


@pytest.mark.parametrize(
    "num_faults",
    [20, pytest.param(200, marks=pytest.mark.skipif(not os.environ.get("RASGD_SOAK"), reason="RASGD_SOAK is not set"))],
)
def test_a_run_survives_random_faults_with_every_gradient_accounted_for(num_faults, capfd):
    survive(3, seed=0)
    files, memory = held()
    faults = survive(num_faults, seed=1)
    assert len(faults) >= 0.5 * num_faults  # the others met a worker that was just starting
    after = held()
    assert after[0] == files
    assert after[1] - memory < 32 * 2**20


def survive(num_faults, seed):
    problem, t = soak(num_faults, seed)
    in_flight = sum(t.statistics["started_jobs"]) - len(t.trace) - t.statistics["lost_jobs"]
    assert in_flight == 8  # every other started job has arrived or was lost, and all that arrived were applied
    assert t.statistics["num_updates"] == t.statistics["applied_gradients"] == len(t.trace)
    for row in t.metrics.itertuples():
        assert row.updates == (t.trace.time <= instants.latest(row.time)).sum()
    again = rasgd.replay(problem, "rescaled", t.trace)
    assert np.array_equal(again.final_points, t.final_points)
    assert again.statistics == {name: t.statistics[name] for name in again.statistics}
    return t.statistics["faults"]


def held():
    """Open files and bytes of memory of this process."""
    gc.collect()  # the attacker and its thread refer to each other
    with open("/proc/self/statm") as pages:
        return len(os.listdir("/proc/self/fd")), int(pages.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
