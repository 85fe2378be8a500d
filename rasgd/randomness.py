"""Random streams that no order of events can change.

Every draw belongs to a key (seed, purpose, worker, block), and a block holds the draws of 16 consecutive gradients of
one worker. So worker i's k-th gradient uses the same sample whenever it is computed, by whom, and whatever else runs.
"""

from __future__ import annotations

import zlib

import numpy as np

BLOCK = 16  # gradients per block: part of the definition of every stream, changing it changes all results


def generator(seed: int, purpose: str, worker: int = 0, block: int = 0) -> np.random.Generator:
    """A numpy Generator that depends on its key alone.

    Args:
        seed: non-negative integer.
        purpose: what the draws are for, such as "sample" or "duration"; different purposes are independent.
        worker: index of the worker the draws belong to.
        block: k // 16 for the worker's k-th gradient.
    """
    return np.random.Generator(
        np.random.PCG64(np.random.SeedSequence((seed, zlib.crc32(purpose.encode()), worker, block)))
    )
