"""The same settings on other seeds, to see whether verdicts depend on them."""

from __future__ import annotations

from rasgd.experiments.settings import SEED_KEYS

KEPT = ("tuning",)  # what was tuned stays: seeds of reports are what verdicts rest on


def with_other_seeds(settings, shift: int):
    """A copy of nested settings whose reporting seeds, schedule seeds and instance seeds are larger by `shift`."""
    if isinstance(settings, list):
        return [with_other_seeds(entry, shift) for entry in settings]
    if not isinstance(settings, dict):
        return settings
    return {
        key: value
        if key in KEPT
        else [seed + shift for seed in value]
        if key in SEED_KEYS
        else with_other_seeds(value, shift)
        for key, value in settings.items()
    }
