"""When the control flow of a method repeats, and what has no exact theory."""

import numpy as np
import pytest

import rasgd
from rasgd import exact
from rasgd.exact.period import checked_setting
from rasgd.methods.base import Job, Method


def problem(n):
    rng = np.random.default_rng(0)
    return rasgd.Quadratic(np.eye(2), rng.normal(size=(n, 2)), 0.1, rng.normal(size=2))


def repetition(method, times, **options):
    found = exact.dynamics(problem(len(times)), method, times, **options)
    return found.prefix, found.period


class Clipped(Method):
    label = "Clipped"

    def receive(self, arrival):
        self.update(arrival.gradient.clamp(-0.1, 0.1))
        return [Job(arrival.worker)]


class Shrinking(Method):
    label = "Shrinking"

    def receive(self, arrival):
        self.update(arrival.gradient, 1 / (1 + arrival.time))
        return [Job(arrival.worker)]


class Picky(Method):
    label = "Picky"
    batched = False

    def receive(self, arrival):
        self.update(arrival.gradient)
        return [Job(arrival.worker)]


class SelfWilled(Picky):
    label = "Self-willed"
    linear = False


class Silent(Method):
    label = "Silent"

    def receive(self, arrival):
        return []


class Late(Method):
    """Steps along every third gradient only, which its number of arrivals decides."""

    label = "Late"

    def __init__(self, x0, step_size, num_workers, compute_times=None, generator=None):
        super().__init__(x0, step_size, num_workers, compute_times, generator)
        self.arrivals = 0

    def receive(self, arrival):
        self.arrivals += 1
        if self.arrivals % 3 == 0:
            self.update(arrival.gradient)
        return [Job(arrival.worker)]


@pytest.mark.parametrize(
    ("method", "times", "options", "expected"),
    [
        ("asgd", [1, 2, 3], {}, (6, 6)),  # in the first cycle all points are x⁰
        ("asgd", [5], {}, (0, 5)),
        ("minibatch", [1, 2, 3], {}, (0, 3)),  # a step each τ_max, not each cycle
        ("rennala", [1, 2], {"S": 3}, (0, 2)),  # two gradients of worker 0 and, at the same time, one of worker 1
        ("malenia", [1, 2], {"S": 6}, (6, 6)),  # at 5 s 2/(1/5 + 1/2) = 20/7 < 3, worker 0's sixth makes 2/(1/6 + 1/2)
        ("fedbuff", [1, 1, 1], {"K": 2}, (2, 2)),  # three arrivals a second
        ("asgd", [0.1, 0.2, 0.3], {}, (0.6, 0.6)),  # decimal times tie as on paper
        (Late, [1, 1], {}, (3, 3)),
    ],
)
def test_periods_are_what_they_are_on_paper(method, times, options, expected):
    assert repetition(method, times, **options) == pytest.approx(expected)


def test_ringmaster_repeats_although_its_counters_grow_for_ever():
    # Worker 2 needs 9 s, but is stopped and started anew at every third update, which are 1.5 s apart on average.
    assert repetition("ringmaster", [1, 1, 9], R=3, abort=True) == (3, 3)


def test_a_given_assignment_has_a_period_with_queues():
    assert repetition("concurrent", [1, 2, 4], assignment=[2])[1] == 4  # in the end all work queues at the slowest


@pytest.mark.parametrize(
    ("method", "times", "options", "message"),
    [
        ("asgd", [1.0, 2**0.5], {}, "compute_times must be commensurate, got 1.41421"),
        ("asgd", [49999, 50021], {}, "within 200000 arrivals .* all workers meet only after 100020"),
        ("asgd", [1.0, -1.0], {}, "compute_times must be positive finite seconds, got -1.0 for worker 1"),
        ("asgd", rasgd.NoisyTimes([1.0, 2.0]), {}, "compute_times must be fixed .*, got NoisyTimes"),
        ("asgd", [1, 2, 3], {}, r"compute_times must have one entry per worker \(2\), got 3"),
        ("asgd", [1, 2], {"K": 2}, "'K' is not an option of Vanilla ASGD"),
        ("concurrent", [1, 2], {}, "assignment must be given .* of Concurrent ASGD"),
        (SelfWilled, [1, 2], {}, "method must be linear in gradients .* Self-willed is not"),
        (Picky, [1, 2], {}, "method must not choose jobs by gradients .* as Picky does"),
        (Clipped, [1, 2], {}, "Clipped calls itself linear in gradients, but"),
        (Shrinking, [1, 2], {}, "repeat itself within 200000 arrivals .* its steps differ"),
        (Silent, [1, 2], {}, "Silent waits for ever"),
    ],
)
def test_what_has_no_exact_theory_gets_one_line(method, times, options, message):
    with pytest.raises(ValueError, match=message) as caught:
        exact.dynamics(problem(2), method, times, **options)
    assert "\n" not in str(caught.value)


def test_a_limit_on_arrivals_is_kept():
    with pytest.raises(ValueError, match="must make Vanilla ASGD repeat itself within 30 arrivals"):
        exact.dynamics(problem(2), "asgd", [1, 7], max_arrivals=30)


def test_other_problems_are_refused():
    with pytest.raises(ValueError, match="problem must be a Quadratic for exact theory, got str"):
        exact.dynamics("mnist", "asgd", [1, 2])


def test_options_given_as_lists_are_understood():
    setting = checked_setting("rescaled", [1, 2], {"weights": [0.25, 0.75]})
    assert setting.options == (("weights", (0.25, 0.75)),)
    weights = exact.small_step(exact.dynamics(problem(2), "rescaled", [1, 2], weights=[0.25, 0.75])).weights
    np.testing.assert_allclose(weights, [0.25, 0.75], rtol=1e-12)
