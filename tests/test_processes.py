"""Real worker processes: the same schedule as in virtual time, nothing left behind, errors in one line."""

import multiprocessing
import os
import re
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

import rasgd
from rasgd.backends.shipment import Shipment
from rasgd.backends.slots import GradientSlots, PointSlots, Slots

TIMES = [1.0, 1.37, 2.11, 3.53]
SCALE = {"time_scale": 0.04}


def small_problem(num_workers=4, dim=10):
    return rasgd.random_quadratic(num_workers, dim, noise=1.0, heterogeneity=0.5)


def held():
    """Open files and mapped vectors of this process."""
    with open("/proc/self/maps") as maps:
        return len(os.listdir("/proc/self/fd")), sum("rasgd" in line.split("/")[-1] for line in maps)


@pytest.mark.parametrize("method", ["rescaled", "minibatch", "malenia", "ringleader", "concurrent"])
def test_real_arrivals_come_in_the_simulated_order_at_the_simulated_times(method):
    times, closest = [1.03, 1.45, 1.69, 3.55], 0.0599  # no two arrivals or evaluations within 7 s are closer
    arguments = dict(compute_times=times, step_size=[0.01, 0.02], until=7.0, eval_every=2.0, record=True)
    virtual = rasgd.simulate(small_problem(), method, **arguments)
    moments = np.concatenate([virtual.trace.time.unique(), np.arange(0, 7, 2)])
    assert np.diff(np.sort(moments)).min() > closest
    for time_scale in (0.05, 0.2, 0.8):  # slower where a busy machine is too late to tell arrivals apart
        options = {"time_scale": time_scale}
        real = rasgd.simulate(small_problem(), method, backend="processes", backend_options=options, **arguments)
        lateness = real.statistics["lateness_max_seconds"]
        if lateness < closest * time_scale and not any(real.statistics["overruns"]):
            break
    else:
        pytest.skip(f"this machine is too busy for a test of its clock: an arrival was late by {lateness:.2g} s")
    assert real.trace.equals(virtual.trace)
    assert real.metrics.equals(virtual.metrics)
    assert np.array_equal(real.final_points, virtual.final_points)
    assert np.array_equal(real.effective_weights, virtual.effective_weights)


def test_emulated_time_does_not_drift():
    problem = rasgd.Quadratic([[1.0]], [[1.0]])
    options = dict(backend="processes", backend_options={"time_scale": 0.01}, record=True)
    started = time.monotonic()
    t = rasgd.simulate(problem, "asgd", [1.0], 0.01, until=300.0, eval_every=300.0, **options)
    assert time.monotonic() - started > 2.9
    # If a deadline started from the moment the gradient was received, every duration would be a little longer.
    (overruns,) = t.statistics["overruns"]
    assert (t.trace.duration != 1.0).sum() <= overruns
    assert len(t.trace) + t.trace.duration[t.trace.duration != 1.0].sum() >= 298


def test_ringmaster_aborts_sleeping_workers():
    t = rasgd.simulate(
        small_problem(),
        "ringmaster",
        [1.0, 1.1, 1.2, 1000.0],
        0.01,
        until=12.0,
        backend="processes",
        backend_options=SCALE,
        R=4,
        abort=True,
        record=True,
    )
    assert t.statistics["delay_max"] < 4
    assert t.wasted_gradients >= 5  # worker 3 sleeps for 1000 s and is started afresh instead


class Slow(rasgd.Quadratic):
    """Computes for longer than its emulated time."""

    def gradient(self, worker, x, sample):
        time.sleep(0.03)
        return super().gradient(worker, x, sample)


def test_computations_longer_than_their_slot_are_reported_as_overruns():
    problem = Slow(np.eye(3), np.ones((2, 3)))
    t = rasgd.simulate(
        problem,
        "asgd",
        [1.0, 1.0],
        0.01,
        until=10.0,
        backend="processes",
        backend_options={"time_scale": 0.01},
        record=True,
    )
    assert min(t.statistics["overruns"]) >= 1
    assert t.trace.duration.min() >= 3.0  # seconds of the run: 0.03 s on the wall at 0.01
    assert min(t.statistics["compute_seconds"]) >= 0.03


class Uneven(rasgd.Quadratic):
    """Worker 1 needs three times as long as worker 0."""

    def gradient(self, worker, x, sample):
        time.sleep(0.01 * (1 + 2 * worker))
        return super().gradient(worker, x, sample)


def test_measured_times_are_calibrated_before_the_run_and_replay(capfd):
    problem = Uneven(np.eye(3), np.ones((2, 3)), noise_std=0.1)
    t = rasgd.simulate(
        problem,
        "rescaled",
        None,
        0.05,
        until=1.2,
        backend="processes",
        backend_options={"times": "measured", "progress": True},
        record=True,
    )
    fast, slow = t.metadata["mean_compute_times"]
    assert fast >= 0.01
    assert slow >= 0.03
    assert (t.trace.duration[t.trace.worker == 1] >= 0.03).all()
    assert t.trace.time.is_monotonic_increasing
    assert t.trace.time.max() <= 1.2
    assert np.array_equal(rasgd.replay(problem, "rescaled", t.trace).final_points, t.final_points)
    assert re.search(r"1\.\d/1\.2 s, \d+ updates/s, gradients/s [\d.e+]+ [\d.e+]+, delay mean", capfd.readouterr().err)


def test_an_idle_server_uses_no_processor_time():
    before = time.process_time()
    rasgd.simulate(
        rasgd.Quadratic([[1.0]], [[1.0], [2.0]]),
        "asgd",
        [1.0, 1.5],
        0.1,
        until=2.0,
        eval_every=1.0,
        backend="processes",
    )
    # Two seconds of waiting. Starting two workers and evaluating take some processor time, a loop would take it all.
    assert time.process_time() - before < 0.5


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_workers_on_a_gpu_take_the_same_course_as_on_the_cpu():
    arguments = dict(compute_times=TIMES, step_size=0.01, until=12.0, backend="processes", backend_options=SCALE)
    on_gpu = rasgd.simulate(small_problem(), "rescaled", device="cuda", **arguments)
    on_cpu = rasgd.simulate(small_problem(), "rescaled", **arguments)
    assert np.allclose(on_gpu.final_points, on_cpu.final_points, rtol=1e-6)


class Unsendable(rasgd.Quadratic):
    """Holds what cannot be sent to another process."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.secret = lambda: None


class Pointless(rasgd.Quadratic):
    """Has initial points for the first `left` calls."""

    left = 1

    def initial_point(self, seed):
        self.left -= 1
        if self.left < 0:
            raise ValueError(f"no initial point for seed {seed}")
        return super().initial_point(seed)


@pytest.mark.parametrize(("kind", "left"), [(Unsendable, 0), (Pointless, 0), (Pointless, 1)])
def test_a_refused_call_leaves_no_process_no_memory_and_no_open_file(kind, left):
    problem = kind(np.eye(2), np.ones((3, 2)))
    rasgd.simulate(small_problem(3), "asgd", TIMES[:3], 0.01, until=2.0, backend="processes", backend_options=SCALE)
    before = held()
    problem.left = left
    with pytest.raises(ValueError, match=r"cannot be sent|no initial point"):
        rasgd.simulate(problem, "asgd", TIMES[:3], 0.01, until=2.0, backend="processes", backend_options=SCALE)
    assert held() == before
    assert multiprocessing.active_children() == []


class Choosing(rasgd.METHODS["asgd"]):
    batched = False


def test_replicas_that_would_not_share_a_real_schedule_are_refused():
    arguments = dict(compute_times=TIMES, step_size=[0.01, 0.02], seed=[0, 1], until=4.0, backend="processes")
    with pytest.raises(ValueError, match=r"replicas_per_pass must be at least 4 with real processes, .* got 3"):
        rasgd.simulate(small_problem(), "asgd", replicas_per_pass=3, **arguments)
    with pytest.raises(ValueError, match="step_size and seed must be single for Vanilla ASGD with real processes"):
        rasgd.simulate(small_problem(), Choosing, **arguments)


def test_a_run_leaves_no_process_no_memory_and_no_open_file():
    small_run()
    before = held()
    small_run()
    assert held() == before
    assert multiprocessing.active_children() == []


def small_run(**options):
    return rasgd.simulate(
        small_problem(), "rescaled", TIMES, 0.01, until=5.0, backend="processes", backend_options=SCALE | options
    )


def test_workers_use_one_thread_and_no_more_memory_for_the_problem():
    problem = small_problem(3)
    shipment = Shipment(problem)
    copy = shipment.unpack()
    assert torch.equal(copy.A, problem.A)
    assert copy.matrices[1].untyped_storage().data_ptr() == copy.A.untyped_storage().data_ptr()
    assert shipment.size < 1.5 * sum(t.nbytes for t in (problem.A, problem.b, problem.mean_A, problem.mean_b)) + 4096
    copy.A.zero_()
    assert torch.equal(shipment.unpack().A, problem.A)
    shipment.file.close()


def test_a_gradient_slot_is_free_again_when_the_last_tensor_on_it_is_gone():
    slots = GradientSlots(Slots(None, 3, 2, 5000, torch.float64), reserve=1)
    first, second = slots.take(), slots.take()
    gradient = slots.lend(first)
    row = gradient[1, 2:]
    del gradient
    assert first not in slots.free
    kept = slots.lend(second)
    copied = slots.lend(slots.take())  # the reserve is never lent
    assert len(slots.free) == 1
    del row, copied
    assert sorted(slots.free) == sorted({0, 1, 2} - {second})
    assert kept.shape == (2, 5000)


def test_a_short_gradient_is_copied_and_its_slot_free_at_once():
    slots = Slots(None, 3, 1, 5, torch.float64)
    gradients = GradientSlots(slots, reserve=1)
    slot = gradients.take()
    slots.tensors[slot].fill_(3.0)
    gradient = gradients.lend(slot)
    assert slot in gradients.free
    slots.tensors[slot].zero_()
    assert gradient.tolist() == [[3.0] * 5]


def test_a_long_point_is_made_in_the_slot_that_workers_read():
    slots = Slots(None, 7, 1, 5000, torch.float64)
    points = PointSlots(slots, 1)
    x, step, direction = torch.ones(1, 5000), torch.full((1, 1), 0.5), torch.full((1, 5000), 3.0)
    x, step, direction = x.double(), step.double(), direction.double()
    made = [points.placed_addcmul(x, step, direction, -2.0) for _ in range(6)]
    assert all(torch.equal(one, x.addcmul(step, direction, value=-2.0)) for one in made)
    for one in made:  # four find a place, and the others are copied when they are handed out
        assert torch.equal(slots.tensors[points.hand(0, one)], one)
    assert points.free_places == []
    del made, one
    assert len(points.free_places) == 4


def test_workers_that_are_handed_the_same_point_share_its_slot():
    slots = Slots(None, 4, 1, 3, torch.float64)
    points = PointSlots(slots, 2)
    x, y = torch.ones(1, 3, dtype=torch.float64), torch.zeros(1, 3, dtype=torch.float64)
    assert points.hand(0, x) == points.hand(1, x)
    held = points.hand(0, y)
    assert torch.equal(slots.tensors[points.slot_of[1]], x)
    assert points.hand(0, y) == held
    for _ in range(10):  # slots never run out
        points.hand(0, torch.ones(1, 3, dtype=torch.float64))
        points.hand(1, torch.ones(1, 3, dtype=torch.float64))


def run_script(tmp_path, text, **options):
    path = tmp_path / "script.py"
    path.write_text(text)
    environment = os.environ | {"PYTHONPATH": os.path.dirname(os.path.dirname(rasgd.__file__))}
    return subprocess.run(
        [sys.executable, path], capture_output=True, text=True, timeout=110, env=environment, **options
    )


SCRIPT = """
import rasgd

class Own(rasgd.Quadratic):
    pass

def main():
    for kind in {kinds}:
        t = rasgd.simulate(kind([[1.0]], [[1.0], [2.0]]), "asgd", [1.0, 2.0], 0.1, until=4.0, backend="processes",
            backend_options={{"time_scale": 0.01}})
        print(t.statistics["num_updates"] > 0)

{call}
"""


def test_a_call_without_main_guard_works_unless_the_script_defines_the_problem(tmp_path):
    result = run_script(tmp_path, SCRIPT.format(kinds="(rasgd.Quadratic, Own)", call="main()"))
    assert result.stdout == "True\n"
    assert result.returncode != 0
    assert "if __name__ == '__main__':" in result.stderr.splitlines()[-1]
    assert result.stderr.count("Traceback") == 1


def test_a_call_under_the_main_guard_works_for_a_problem_of_the_script(tmp_path):
    result = run_script(tmp_path, SCRIPT.format(kinds="(Own,)", call="if __name__ == '__main__':\n    main()"))
    assert result.returncode == 0, result.stderr
    assert (result.stdout, result.stderr) == ("True\n", "")


class Unpackable(rasgd.Quadratic):
    def __init__(self):
        super().__init__([[1.0]], [[1.0], [2.0]])
        self.function = lambda x: x


def test_a_problem_that_cannot_be_sent_is_refused():
    with pytest.raises(ValueError, match="problem cannot be sent to worker processes"):
        rasgd.simulate(Unpackable(), "asgd", [1.0, 2.0], 0.1, until=4.0, backend="processes")


@pytest.mark.parametrize("value", [0, -1.0, float("nan"), "fast"])
def test_a_wrong_time_scale_is_refused(value):
    with pytest.raises(ValueError, match="time_scale must be a positive number"):
        small_run(time_scale=value)
