"""Settings of the whole suite: the same examples on every run, one thread per process."""

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

from hypothesis import settings  # noqa: E402

# No deadline: a busy machine is no failure. No database: an example found on one machine is found on all.
settings.register_profile("repository", derandomize=True, deadline=None, database=None, print_blob=False)
settings.load_profile("repository")
