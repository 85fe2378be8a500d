"""Random streams that no order of events can change.

Every draw belongs to a key (seed, purpose, worker, block), and a block holds the draws of 16 consecutive gradients of
one worker. So worker i's k-th gradient uses the same sample whenever it is computed, by whom, and whatever else runs.
"""

from __future__ import annotations

import hashlib
import struct

import numpy as np
from numpy.random.bit_generator import ISeedSequence

BLOCK = 16  # gradients per block: part of the definition of every stream, changing it changes all results


class KeyedSeed(ISeedSequence):
    """Seeds a bit generator with the BLAKE2b hash of a key.

    Different keys give unrelated states, as with numpy's SeedSequence, which costs six times as much: with a generator
    for every 16 gradients of every seed it was a tenth of a run on small quadratics.
    """

    def __init__(self, key: bytes):
        self.key = key

    def generate_state(self, n_words, dtype=np.uint32):
        num_bytes = n_words * np.dtype(dtype).itemsize
        return np.frombuffer(hashlib.blake2b(self.key, digest_size=num_bytes).digest(), dtype)


def generator(seed: int, purpose: str, worker: int = 0, block: int = 0) -> np.random.Generator:
    """A numpy Generator that depends on its key alone.

    Args:
        seed: integer from 0 to 2**63 - 1.
        purpose: what the draws are for, such as "sample" or "duration"; different purposes are independent.
        worker: index of the worker the draws belong to.
        block: k // 16 for the worker's k-th gradient.
    """
    key = struct.pack("<QQQ", seed, worker, block) + purpose.encode()
    return np.random.Generator(np.random.PCG64(KeyedSeed(key)))
