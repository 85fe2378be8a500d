"""How long exact theory takes at its working sizes: `python -m bench.exact_theory` prints a Markdown table."""

from __future__ import annotations

import numpy as np

from bench.report import Row, processor_seconds, table
from rasgd import exact

REPETITIONS = 3
# The quadratic experiment's times: 120 arrivals in a cycle of 24 s.
TIMES = [1.0, 1, 2, 2, 3, 3, 4, 4, 6, 6, 8, 8, 12, 12, 24, 24]
TARGETS = [1e-1, 1e-2, 1e-3, 1e-4]
LIMIT = 2.0  # seconds


def times_to_target() -> None:
    heterogeneity = 0.1 * np.random.default_rng(0).normal(size=(len(TIMES), 4))
    instance = exact.diagonal_instance([0.003, 0.3, 0.6, 1.0], heterogeneity, 0.5, [25.0, 0, 0, 0])
    exact.time_to_target(exact.dynamics(instance, "rescaled", TIMES), np.geomspace(1e-4, 1e-2, 40), TARGETS)


def times_with_a_table() -> None:
    heterogeneity = 0.1 * np.random.default_rng(0).normal(size=(len(TIMES), 4))
    instance = exact.diagonal_instance([0.003, 0.3, 0.6, 1.0], heterogeneity, 0.5, [25.0, 0, 0, 0])
    exact.time_to_target(exact.dynamics(instance, "ringleader", TIMES), np.geomspace(1e-4, 1e-2, 40), TARGETS)


def floors_on_a_long_cycle() -> None:
    """Times 1 … 10 repeat after 2,520 s and 7,381 arrivals."""
    heterogeneity = 0.1 * np.random.default_rng(0).normal(size=(10, 2))
    instance = exact.diagonal_instance([0.1, 1.0], heterogeneity, 0.5)
    _ = exact.stationary_error(exact.dynamics(instance, "rescaled", range(1, 11)), [1e-3, 1e-2]).total


def main() -> None:
    sizes = {
        "times to 4 targets, 40 steps, 4 modes, 16 workers, 120 arrivals a cycle": times_to_target,
        "the same of Ringleader ASGD, which keeps a table": times_with_a_table,
        "floors, 2 steps, 2 modes, 10 workers, 7,381 arrivals a cycle": floors_on_a_long_cycle,
    }
    print(
        table(
            [
                Row(what, [processor_seconds(compute) for _ in range(REPETITIONS)], " s", at_most=LIMIT)
                for what, compute in sizes.items()
            ]
        )
    )


if __name__ == "__main__":
    main()
