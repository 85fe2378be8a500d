"""Random streams that no order of events can change.

Every draw belongs to a key: a sample to (seed, purpose, worker, k), whatever else is drawn with it (`Stream`); what is
drawn once or seldom to (seed, purpose, worker, block), of which it is the whole generator (`generator`). So worker i's
k-th gradient uses the same sample whenever it is computed, by whom, and whatever else runs.
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Sequence

import numpy as np
from numpy.random.bit_generator import ISeedSequence

SQRT_2 = math.sqrt(2)
BLOCK = 16  # durations per block: part of the definition of their streams, changing it changes all results


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
        block: k // 16 for the duration of the worker's k-th gradient.
    """
    key = struct.pack("<QQQ", seed, worker, block) + purpose.encode()
    return np.random.Generator(np.random.PCG64(KeyedSeed(key)))


class Stream:
    """Random numbers of which every gradient has its own, so that any number of them can be drawn at once.

    Philox makes four numbers from a counter and a key alone. The key is a hash of seed and purpose; the counter is made
    of worker, k and how often the gradient has asked for numbers before. So moving to any k is setting a counter, which
    takes a tenth of the time that a new generator does, and the same bits come singly or together.

    Args:
        seeds: integers from 0 to 2**63 - 1.
        purpose: what the draws are for; different purposes are independent.
    """

    def __init__(self, seeds: Sequence[int], purpose: str):
        hashed = (hashlib.blake2b(struct.pack("<Q", seed) + purpose.encode(), digest_size=16) for seed in seeds)
        self.keys = [np.frombuffer(key.digest(), np.uint64) for key in hashed]
        self.philox = np.random.Philox(0)
        self.generator = np.random.Generator(self.philox)
        self.state = self.philox.state

    def at(self, worker: int, k: int, count: int = 1) -> Draws:
        """The numbers of the worker's gradients k, …, k + count − 1, until the stream is asked for others."""
        return Draws(self, worker, k, count)

    def fill(self, numbers: np.ndarray, worker: int, request: int, first: int) -> None:
        """Writes uniform numbers to `[num_seeds, …]` from counter `first` on, four per counter."""
        inner = self.state["state"]
        counter = inner["counter"]
        counter[0], counter[1], counter[2] = first, request, worker
        for key, row in zip(self.keys, numbers, strict=True):
            inner["key"] = key
            self.philox.state = self.state
            self.generator.random(out=row)


class Draws:
    """The random numbers of some consecutive gradients of one worker, for every seed of the stream.

    What a gradient is given depends on how often numbers were asked for before and on `width`, but not on the other
    gradients and seeds. Every other law can be made from uniform numbers.
    """

    def __init__(self, stream: Stream, worker: int, k: int, count: int):
        self.stream, self.worker, self.k, self.count = stream, worker, k, count
        self.requests = 0

    def uniform(self, width: int) -> np.ndarray:
        """Uniform on (0, 1), float64 `[count, num_seeds, width]`."""
        numbers = self.numbers(width)
        return self.laid_out(np.maximum(numbers, 2.0**-54, out=numbers), width)  # of 2**53 possible numbers one is 0

    def normal(self, width: int) -> np.ndarray:
        """Standard normal, float64 `[count, num_seeds, width]`."""
        numbers = self.numbers(width)
        # By the inverse distribution function: methods that reject would use up an unknown number of counters.
        # 2u − 1 + 2**-53, which is exact, lies symmetrically within (−1, 1).
        numbers *= 2.0
        numbers -= 1.0 - 2.0**-53
        import torch  # here, since whoever only reads settings should not wait for it

        values = torch.from_numpy(numbers)
        torch.erfinv(values, out=values).mul_(SQRT_2)
        return self.laid_out(numbers, width)

    def numbers(self, width: int) -> np.ndarray:
        """Uniform on [0, 1), `[num_seeds, count, width rounded up to whole counters]`."""
        counters = -(-width // 4)
        numbers = np.empty((len(self.stream.keys), self.count, 4 * counters))
        self.stream.fill(numbers, self.worker, self.requests, self.k * counters)
        self.requests += 1
        return numbers

    def laid_out(self, numbers: np.ndarray, width: int) -> np.ndarray:
        return np.ascontiguousarray(numbers[:, :, :width].swapaxes(0, 1))
