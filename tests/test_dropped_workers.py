"""What a worker has sent before it ended counts, whatever the order in which the server notices."""

import multiprocessing
import os
import signal
import threading
import time
from typing import ClassVar

import numpy as np
import pytest

import rasgd
from rasgd.backends import worker as w
from rasgd.backends.base import StartedJob
from rasgd.backends.processes import Processes
from rasgd.methods import METHODS


def kill(worker):
    for process in multiprocessing.active_children():
        if process.name == f"rasgd worker {worker}":
            os.kill(process.pid, signal.SIGKILL)


def late_leaver(name):
    """The method, whose server is busy with its first gradient while worker 1 delivers its own and is killed."""

    class Busy(METHODS[name]):
        def receive(self, arrival):
            if arrival.worker == 0 and not self.updates and not getattr(self, "was_busy", 0):
                self.was_busy = 1
                time.sleep(0.6)  # worker 1's gradient is due 0.2 s later
                kill(1)
                time.sleep(0.1)
            return super().receive(arrival)

        def leave(self, worker):
            self.before_leaving = self.updates
            return super().leave(worker)

    return Busy


def dropping(problem, method, times, until, **options):
    arguments = dict(step_size=0.1, until=until, eval_every=until, record=True)
    backend_options = {"time_scale": 0.2, "on_fault": "drop"}
    return rasgd.simulate(
        problem, method, times, backend="processes", backend_options=backend_options, **arguments | options
    )


def three_lines():
    return rasgd.Quadratic(np.eye(2), [[1.0, 0.0]] * 3, initial_point=[3.0, 3.0])


def test_a_gradient_that_arrived_before_its_worker_died_is_received_before_the_worker_leaves():
    t = dropping(three_lines(), late_leaver("minibatch"), [1.0, 2.0, 7.0], until=14.5)
    assert t.metadata["departures"][0][:2] == [2, 1]
    assert t.statistics["lost_jobs"] == 0
    # Minibatch stays synchronous: after the step of all three come steps of workers 0 and 2 alone.
    assert t.trace.worker.tolist() == [0, 1, 2, 0, 2]
    assert t.trace.delay.eq(0).all()


def test_a_job_that_a_dead_worker_is_given_before_it_leaves_is_lost():
    t = dropping(three_lines(), late_leaver("ringmaster"), [1.0, 2.0, 3.0], until=8.0, abort=True)
    assert t.trace.worker.tolist()[:2] == [0, 1]
    assert (t.trace.worker == 1).sum() == 1
    assert t.statistics["lost_jobs"] == 1
    assert t.statistics["started_jobs"][1] == 2


class LeftAlone(METHODS["minibatch"]):
    """Worker 1 is killed while worker 0, which has answered, waits for it: leaving makes the update."""

    def receive(self, arrival):
        if not self.updates:
            threading.Timer(0.3, kill, [1]).start()
        return super().receive(arrival)


def assert_replays(problem, method, t):
    again = rasgd.replay(problem, method, t.trace)
    assert np.array_equal(again.final_points, t.final_points)
    assert again.metrics.equals(t.metrics)
    assert again.statistics == {name: t.statistics[name] for name in again.statistics}


def test_an_update_that_a_leaving_worker_makes_is_replayed_and_weighed():
    problem = rasgd.Quadratic(np.eye(2), np.eye(2), initial_point=[3.0, 3.0])
    t = dropping(problem, LeftAlone, [2.0, 4.5], until=5.0, eval_every=0.5)
    ((position, worker, at),) = t.metadata["departures"]
    assert (position, worker, len(t.trace)) == (1, 1, 1)
    assert t.metrics.updates.tolist() == [int(time >= at) for time in t.metrics.time]
    assert t.statistics["num_updates"] == 1
    assert t.effective_weights.tolist() == [1.0, 0.0]
    assert_replays(problem, LeftAlone, t)
    # A replay that ends before the worker leaves knows nothing of that.
    assert rasgd.replay(problem, LeftAlone, t.trace, until=at - 0.1).metadata["departures"] == []


def test_an_update_between_arrivals_is_replayed_between_them():
    problem = rasgd.Quadratic(np.eye(2), np.eye(2), initial_point=[3.0, 3.0])
    t = dropping(problem, LeftAlone, [2.0, 4.5], until=10.0, eval_every=0.5)
    assert t.statistics["arrivals"][0] >= 3
    assert_replays(problem, LeftAlone, t)


class LeftAndStopped(LeftAlone):
    """The call is stopped when the worker leaves, and notes who is there when it has gone on."""

    stops = True
    names: ClassVar[set] = set()

    def receive(self, arrival):
        self.names.update(process.name for process in multiprocessing.active_children())
        return super().receive(arrival)

    def leave(self, worker):
        if self.stops:
            signal.raise_signal(signal.SIGTERM)
        return super().leave(worker)


def test_a_worker_that_has_left_stays_away_when_the_call_goes_on(tmp_path, monkeypatch):
    problem = rasgd.Quadratic(np.eye(2), np.eye(2), initial_point=[3.0, 3.0])
    arguments = dict(times=[2.0, 4.5], until=10.0, eval_every=0.5, checkpoint=tmp_path / "run.checkpoint")
    with pytest.raises(SystemExit):
        dropping(problem, LeftAndStopped, **arguments)
    monkeypatch.setattr(LeftAndStopped, "stops", False)
    LeftAndStopped.names.clear()
    t = dropping(problem, LeftAndStopped, **arguments)
    assert LeftAndStopped.names == {"rasgd worker 0"}
    assert [worker for _, worker, _ in t.metadata["departures"]] == [1]
    assert t.statistics["faults"] == []  # since the call went on
    assert t.statistics["arrivals"][0] >= 3
    assert_replays(problem, LeftAndStopped, t)


@pytest.fixture
def backend():
    """Two workers whose jobs take 1000 s, and the losses their run has been told of."""
    made = Processes(
        rasgd.Quadratic(np.eye(2), np.ones((2, 2))), rasgd.FixedTimes([1000.0, 1000.0]), [0], 1, hang_seconds=0.5
    )
    losses = []
    made.attach(lambda *loss: losses.append(loss), lambda: None, None)
    made.losses = losses
    try:
        yield made
    finally:
        made.close()


def start(backend, worker, k=0):
    backend.begin(StartedJob(worker, k, backend.points.tensors[0].clone(), 0.0))


def answer(backend, worker, kind, k=0):
    os.write(backend.crew.token_writer, w.TOKEN.pack(worker, kind, k, time.monotonic(), 0.0))


def test_a_worker_that_dies_after_a_gradient_that_is_not_finite_fails_once(backend):
    start(backend, 0)
    answer(backend, 0, w.NOT_FINITE)
    backend.lose(0, "was killed by signal 9")
    assert [loss[0] for loss in backend.losses] == [0]
    assert [fault["what"] for fault in backend.faults.list] == ["was killed by signal 9"]


def test_a_worker_that_dies_after_answering_for_an_aborted_job_is_sent_nothing_more(backend):
    start(backend, 0)
    backend.abort(0)
    start(backend, 0, k=1)  # waits until the worker has answered for the other
    answer(backend, 0, w.DROPPED)
    backend.lose(0, "was killed by signal 9")
    assert [loss[0] for loss in backend.losses] == [0]


def test_a_late_worker_that_answers_while_another_is_ended_is_not_taken_for_hung(backend, monkeypatch):
    start(backend, 0)
    start(backend, 1)
    backend.sent = [(k, slot, time.monotonic() - 1.0) for k, slot, _ in backend.sent]
    end_worker = backend.end_worker

    def end_while_the_other_answers(worker):
        end_worker(worker)
        answer(backend, 1 - worker, w.DONE)

    monkeypatch.setattr(backend, "end_worker", end_while_the_other_answers)
    backend.look_for_hung_workers(time.monotonic())
    assert [loss[0] for loss in backend.losses] == [0]
    assert backend.crew.processes[1].is_alive()
    assert [finished.worker for finished in backend.arrived] == [1]
