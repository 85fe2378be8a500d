"""Data sets, where they come from, and who owns which sample."""
