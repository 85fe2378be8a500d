"""Experiments from their files: settings, tuning and reporting, the store of finished runs."""
