"""Who works on what, when: the conventions that make every run exact and comparable."""

import numpy as np
import pytest

import rasgd
from rasgd import Job


def drift(n=2):
    """∇Fᵢ = −1 everywhere: x counts the steps."""
    return rasgd.Quadratic(np.zeros((1, 1)), np.ones((n, 1)))


def scripted(jobs_at, start=None, updating=lambda worker: True):
    """A method whose jobs are looked up: jobs_at(worker, arrival number) says what follows an arrival."""

    class Scripted(rasgd.Method):
        label = "Scripted"
        linear = False

        def start(self):
            return super().start() if start is None else start

        def receive(self, arrival):
            self.ignored += not updating(arrival.worker)
            if updating(arrival.worker):
                self.update(arrival.gradient)
            self.number = getattr(self, "number", -1) + 1
            return jobs_at(arrival.worker, self.number)

    return Scripted


def run(method, times, until, **options):
    problem = drift(getattr(times, "num_workers", None) or len(times))
    return rasgd.simulate(problem, method, times, 1.0, until=until, record=True, **options)


def rows(t, *names):
    return list(zip(*(t.arrivals[name].tolist() for name in names), strict=True))


def test_arrivals_at_the_same_time_come_in_increasing_worker_index():
    t = run("asgd", [2.0, 1.0, 2.0, 1.0], 2.0)
    assert rows(t, "time", "worker") == [(1, 1), (1, 3), (2, 0), (2, 1), (2, 2), (2, 3)]


def test_an_arrival_comes_at_the_float64_sum_of_start_and_duration():
    t = run("asgd", [0.1], 1.0)
    time, expected = 0.0, []
    while (time := time + 0.1) <= 1.0:
        expected.append(time)
    assert t.arrivals["time"].tolist() == expected
    assert len(expected) == 10  # 0.1 summed ten times is 0.9999…


def test_metrics_at_a_time_include_every_arrival_up_to_it():
    t = run("asgd", [1.0, 2.0], 6.0, eval_every=1.0)
    assert t.columns["time"].tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert t.columns["updates"].tolist() == [0, 1, 3, 4, 6, 7, 9]
    assert t.columns["point_0"].tolist() == t.columns["updates"].tolist()  # every step adds 1


def test_arrivals_after_the_last_evaluation_still_count():
    t = run("asgd", [1.0], 5.0, eval_every=2.0)
    assert t.columns["time"].tolist() == [0, 2, 4]
    assert t.final_point.tolist() == [5.0]


def test_evaluation_times_reach_a_horizon_that_decimals_miss():
    t = run("asgd", [0.05], 0.3, eval_every=0.1)  # 0.3/0.1 is 2.9999…
    np.testing.assert_allclose(t.columns["time"], [0, 0.1, 0.2, 0.3], rtol=1e-15)
    assert t.columns["time"][-1] <= 0.3


def test_progress_is_told_at_every_evaluation():
    told = []
    run("asgd", [1.0], 4.0, eval_every=1.0, progress=told.append)
    assert told == [0, 0.25, 0.5, 0.75, 1]


def test_a_job_for_a_busy_worker_waits_and_carries_the_point_of_the_moment_it_was_issued():
    # Worker 1 is given everything that follows worker 0's only arrival, at t = 1.
    t = run("concurrent", [1.0, 10.0], 30.0, assignment=[1, 1, 1])
    # The job issued after update 1 waits until t = 10; the one issued then (update 2) waits until t = 20.
    assert rows(t, "time", "worker", "k", "delay") == [(1, 0, 0, 0), (10, 1, 0, 1), (20, 1, 1, 1), (30, 1, 2, 1)]
    assert t.idle_seconds.tolist() == [29.0, 0.0]
    assert t.server_vectors == 1


def test_waiting_jobs_are_served_first_in_first_out():
    # Four jobs for worker 1, issued at t = 1, 2, 3, 4 after 1, 2, 3, 4 updates; worker 0 stops after t = 5.
    t = run(scripted(lambda worker, number: [Job(1), Job(0)] if number < 4 else []), [1.0, 4.5], 24.0)
    # Worker 1 arrives at t = 4.5, 9, 13.5, 18, 22.5, after 4, 6, 7, 8, 9 updates.
    delays = [delay for worker, delay in rows(t, "worker", "delay") if worker == 1]
    assert delays == [4 - 0, 6 - 1, 7 - 2, 8 - 3, 9 - 4]


def test_a_job_that_starts_at_an_arrival_is_under_way_before_the_method_is_asked():
    # At t = 1 worker 1 gets a waiting job. At t = 2 its first gradient arrives and the waiting job starts, before the
    # method aborts it: it lasted 0 seconds, so it is not wasted, but it was started.
    script = {0: [Job(1)], 1: [Job(1, abort=True)]}
    t = run(scripted(lambda worker, number: script.get(number, [])), [1.0, 2.0], 8.0)
    assert rows(t, "time", "worker", "k", "delay") == [(1, 0, 0, 0), (2, 1, 0, 1), (4, 1, 2, 0)]
    assert t.wasted_gradients == 0


def test_a_held_point_was_handed_out_when_it_was_first_given():
    t = run(
        scripted(lambda worker, _: [Job(worker, "held" if worker else "current")], updating=lambda worker: worker == 0),
        [1.0, 2.0], 6.0,
    )  # fmt: skip
    assert [delay for worker, delay in rows(t, "worker", "delay") if worker == 1] == [2, 4, 6]
    assert [delay for worker, delay in rows(t, "worker", "delay") if worker == 0] == [0] * 6


def test_abort_drops_the_job_and_what_waits_behind_it():
    # t = 1: two jobs wait for worker 1. t = 2: all that is dropped; one new job, due at t = 6.
    script = {0: [Job(1), Job(1), Job(0)], 1: [Job(1, abort=True)]}
    t = run(scripted(lambda worker, number: script.get(number, [])), [1.0, 4.0], 20.0)
    assert rows(t, "time", "worker", "k", "delay") == [(1, 0, 0, 0), (2, 0, 1, 0), (6, 1, 1, 0)]
    assert t.wasted_gradients == 1
    assert t.statistics["computed_gradients"] == 4
    assert t.idle_seconds.tolist() == [18.0, 14.0]


def test_an_aborted_worker_can_go_on_at_the_point_it_holds():
    script = {0: [Job(1, "held", abort=True)]}
    t = run(scripted(lambda worker, number: script.get(number, [])), [1.0, 4.0], 20.0)
    assert rows(t, "time", "worker", "k", "delay") == [(1, 0, 0, 0), (5, 1, 1, 1)]


def test_a_job_aborted_at_the_instant_of_its_arrival_never_arrives_and_is_wasted():
    script = {0: [Job(0), Job(1, abort=True)]}
    t = run(scripted(lambda worker, number: script.get(number, [])), [1.0, 1.0], 3.0)
    assert rows(t, "time", "worker", "k") == [(1, 0, 0), (2, 0, 1), (2, 1, 1)]
    assert t.wasted_gradients == 1


def test_a_job_aborted_at_the_instant_it_started_is_counted_by_k_alone():
    script = {0: [Job(1, abort=True), Job(1, abort=True), Job(1, abort=True)]}
    t = run(scripted(lambda worker, number: script.get(number, [])), [1.0, 4.0], 9.0)
    assert rows(t, "time", "worker", "k") == [(1, 0, 0), (5, 1, 3)]
    assert t.wasted_gradients == 1  # the job of the first second


def test_k_counts_aborted_jobs_so_that_their_durations_are_used_up():
    recorded = {"worker": [0, 0, 1, 1, 1], "k": [0, 1, 0, 1, 2], "duration": [1.0, 9.0, 5.0, 0.5, 2.0]}
    times = rasgd.RecordedTimes(recorded, after="repeat")
    script = {0: [Job(1, abort=True)], 1: [Job(1)]}
    t = run(scripted(lambda worker, number: script.get(number, [])), times, 9.0)
    assert rows(t, "time", "worker", "k", "duration") == [(1, 0, 0, 1), (1.5, 1, 1, 0.5), (3.5, 1, 2, 2)]


def test_a_worker_without_a_job_idles_and_a_job_in_flight_counts_as_work():
    # Worker 0 stops after its first gradient, worker 1 never starts, worker 2 is still computing at the end.
    t = run(scripted(lambda worker, number: [], start=[Job(0), Job(2)]), [1.0, 1.0, 50.0], 20.0)
    assert t.idle_seconds.tolist() == [19.0, 20.0, 0.0]


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ({0: [Job(1, "held")]}, "worker 1, which is busy"),
        ({0: [Job(0), Job(0, "held")]}, "worker 0, which is busy"),
        ({0: [Job(2, "held")]}, "worker 2, which holds no point"),
    ],
)
def test_a_held_point_can_only_be_used_by_an_idle_worker_that_holds_one(script, message):
    method = scripted(lambda worker, number: script.get(number, []), start=[Job(0), Job(1)])
    with pytest.raises(ValueError, match=message):
        run(method, [1.0, 2.0, 3.0], 5.0)


def test_the_statistics_of_a_run_add_up():
    t = run("ringmaster", [1.0, 2.0, 5.0, 7.0], 70.0, R=3, abort=True)
    statistics, delays = t.statistics, t.arrivals["delay"]
    assert statistics["arrivals"] == np.bincount(t.arrivals["worker"], minlength=4).tolist()
    assert sum(statistics["arrivals"]) == len(delays)
    assert statistics["delay_histogram"] == [int((delays == delay).sum()) for delay in range(delays.max() + 1)]
    assert statistics["delay_max"] == delays.max() == 2  # jobs whose delay reaches R = 3 were aborted
    assert statistics["delay_mean"] == pytest.approx(delays.mean())
    aborted = statistics["computed_gradients"] - len(delays)
    assert aborted > 0 and statistics["wasted_gradients"] == aborted
    assert statistics["applied_gradients"] == statistics["num_updates"] == len(delays)


# Replicas and passes


def test_replicas_stand_in_product_order():
    problem = rasgd.random_quadratic(2, 3, noise=1.0, heterogeneity=1.0)
    t = rasgd.simulate(problem, "asgd", [1.0, 2.0], [0.1, 0.2], seed=[5, 3, 4], until=10.0)
    assert t.replicas["step_size"].tolist() == [0.1, 0.1, 0.1, 0.2, 0.2, 0.2]
    assert t.replicas["seed"].tolist() == [5, 3, 4, 5, 3, 4]
    rows_of = t.metrics.groupby(["step_size", "seed"])
    for row, replica in enumerate(zip(t.replicas["step_size"], t.replicas["seed"], strict=True)):
        last = rows_of.get_group(replica)[["point_0", "point_1", "point_2"]].iloc[-1]
        np.testing.assert_array_equal(last, t.final_point[row])


@pytest.mark.parametrize("replicas_per_pass", [1, 2, 3, 4, 5, 6, 100])
def test_passes_change_neither_the_order_of_replicas_nor_more_than_the_last_bits(replicas_per_pass):
    problem = rasgd.random_quadratic(2, 3, noise=1.0, heterogeneity=1.0)
    call = {"compute_times": [1.0, 2.0], "step_size": [0.1, 0.2], "seed": [5, 3, 4], "until": 20.0}
    one = rasgd.simulate(problem, "asgd", **call)
    many = rasgd.simulate(problem, "asgd", **call, replicas_per_pass=replicas_per_pass)
    for name in ("step_size", "seed"):
        np.testing.assert_array_equal(one.replicas[name], many.replicas[name])
    # 30 arrivals of 3-term products, 5 roundings of 1.1e-16 each, of numbers below 10.
    np.testing.assert_allclose(one.final_point, many.final_point, rtol=0, atol=30 * 5 * 1.1e-16 * 10)
    assert len(one.metrics) == len(many.metrics)
    assert many.metadata["replicas_per_pass"] == replicas_per_pass
    assert many.effective_weights.tolist() == one.effective_weights.tolist()


def test_a_method_that_is_not_batched_runs_one_replica_at_a_time():
    sizes = []

    class Looking(rasgd.METHODS["asgd"]):
        batched = False
        linear = False

        def receive(self, arrival):
            sizes.append(len(arrival.gradient))
            return super().receive(arrival)

    t = rasgd.simulate(drift(), Looking, [1.0, 2.0], [0.1, 0.2], seed=[0, 1], until=4.0)
    assert set(sizes) == {1} and len(t.final_point) == 4


def test_one_step_size_and_one_seed_give_one_vector():
    assert run("asgd", [1.0, 2.0], 4.0).final_point.shape == (1,)
    t = rasgd.simulate(drift(), "asgd", [1.0, 2.0], [0.1], until=4.0)
    assert t.final_point.shape == (1, 1)


# The same cluster once more


@pytest.mark.parametrize("method", ["asgd", "minibatch", "ringleader", "ia2sgd", "concurrent"])
def test_recorded_times_give_the_run_that_was_recorded_once_more(method):
    problem = rasgd.random_quadratic(3, 4, noise=1.0, heterogeneity=1.0)
    first = rasgd.simulate(problem, method, rasgd.NoisyTimes([1.0, 2.0, 4.0]), 0.05, until=40.0, record=True)
    again = rasgd.simulate(problem, method, rasgd.RecordedTimes(first.trace), 0.05, until=40.0, record=True)
    for name, values in first.arrivals.items():
        np.testing.assert_array_equal(values, again.arrivals[name], err_msg=name)
    np.testing.assert_array_equal(first.final_point, again.final_point)
    assert first.statistics == again.statistics


def test_effective_weights_are_measured_unless_told_not_to_and_change_nothing_else():
    call = {"compute_times": [1.0, 2.0], "step_size": 0.1, "until": 8.0}
    weighed, unweighed = (rasgd.simulate(drift(), "asgd", **call, measure_weights=on) for on in (True, False))
    np.testing.assert_allclose(weighed.effective_weights, [2 / 3, 1 / 3])
    assert unweighed.effective_weights is None
    assert unweighed.total_step is None and weighed.total_step[-1] == 12.0
    measured = {name: weighed.statistics[name] for name in ("effective_weights", "total_step", "step_per_second")}
    assert unweighed.statistics | measured == weighed.statistics
    np.testing.assert_array_equal(weighed.final_points, unweighed.final_points)
