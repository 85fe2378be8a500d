"""Running one method on one problem: simulate, replay, checkpoints, evaluation, statistics of the schedule."""
