"""Methods and problems of one's own that break the contract are told so in one line."""

import numpy as np
import pytest

import rasgd

TIMES = [1.0, 2.0, 4.0, 5.0]
N = len(TIMES)


class Unruly(rasgd.METHODS["asgd"]):
    """Vanilla ASGD that breaks the contract in a chosen way."""

    label = "Unruly ASGD"

    def __init__(self, *arguments, fault="none", **shared):
        super().__init__(*arguments, **shared)
        self.fault = fault

    def receive(self, arrival):
        before = self.x
        jobs = super().receive(arrival)
        if self.fault == "in place":
            self.x = before.sub_(arrival.gradient)
        if self.fault == "two updates":
            self.update(arrival.gradient)
        return {"no list": None, "nobody": [rasgd.Job(-1)], "nowhere": [rasgd.Job(0, "curent")]}.get(self.fault, jobs)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("two updates", "Unruly ASGD made 2 updates on one arrival, at most 1 is allowed"),
        ("in place", "Unruly ASGD changed x in place, but workers hold it; a step must make a new tensor"),
        ("no list", "receive of Unruly ASGD must return a list of jobs, got None"),
        ("nobody", "jobs must be for workers 0 to 1, got one for worker -1"),
        ("nowhere", "the point of a job must be 'current' or 'held', got 'curent' for worker 0"),
    ],
)
def test_a_method_that_breaks_the_contract_is_told_so_in_one_line(fault, message):
    problem = rasgd.random_quadratic(num_workers=2, dim=3, noise=0.0, heterogeneity=1.0)
    with pytest.raises(ValueError, match=message):
        rasgd.simulate(problem, Unruly, [1.0, 2.0], 0.1, until=5.0, fault=fault)


@pytest.mark.parametrize("backend", ["simulator", "processes"])
@pytest.mark.parametrize("counted", [True, False])
def test_a_step_that_overwrites_the_point_workers_hold_is_refused_on_both_clocks(backend, counted):
    class Overwriting(rasgd.Method):
        label = "Overwriting ASGD"

        def receive(self, arrival):
            self.x.sub_(self.step_size * arrival.gradient)
            self.updates += counted
            return [rasgd.Job(arrival.worker)]

    problem = rasgd.random_quadratic(num_workers=2, dim=3, noise=0.0, heterogeneity=1.0)
    options = {"backend_options": {"time_scale": 0.01}} if backend == "processes" else {}
    with pytest.raises(ValueError, match="Overwriting ASGD changed x in place"):
        rasgd.simulate(problem, Overwriting, [1.0, 2.0], 0.1, until=5.0, backend=backend, **options)


def test_a_method_without_a_label_is_refused_at_once():
    class Nameless(rasgd.Method):
        def receive(self, arrival):
            return []

    with pytest.raises(ValueError, match="method Nameless must have a label"):
        rasgd.simulate(rasgd.Quadratic(np.zeros((N, N)), np.eye(N)), Nameless, TIMES, 0.1, until=5.0)


class Odd(rasgd.Quadratic):
    """A quadratic of which one part is not what the contract asks for."""

    fault = "none"

    def gradient(self, worker, x, sample):
        gradient = super().gradient(worker, x, sample)
        return {"one row": gradient[:1], "half": gradient.float()}.get(self.fault, gradient)

    def initial_point(self, seed):
        return super().initial_point(seed)[: 1 if self.fault == "short" else None]


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("one row", r"gradient of Odd must have the shape and type of x, \[2, 4\] torch.float64, got \[1, 4\]"),
        ("half", r"gradient of Odd must .* got \[2, 4\] torch.float32"),
        ("short", r"initial_point of Odd must have 4 coordinates, the problem's dim, got shape \[1\]"),
    ],
)
def test_a_problem_that_breaks_the_contract_is_told_so_in_one_line(fault, message):
    problem = Odd(np.zeros((N, N)), np.eye(N))
    problem.fault = fault
    with pytest.raises(ValueError, match=message):
        rasgd.simulate(problem, "asgd", TIMES, [0.1, 0.2], until=5.0)
