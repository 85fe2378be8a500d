"""Vectors in memory that the server and its workers share, handed out and taken back without copying."""

from __future__ import annotations

import mmap
import os
import tempfile
import weakref
from multiprocessing import reduction

import numpy as np
import torch
from torch import Tensor

SHORT_BYTES = 2**14
ALIGNMENT = 128  # bytes; torch aligns its own tensors to 64, and unlike addresses could round matrix products unlike


class SharedFile:
    """An open file that travels to a process being started; it has no name, so nothing of it can be left behind."""

    def __init__(self, descriptor: int):
        self.descriptor = descriptor

    def __reduce__(self):
        return received_file, (reduction.DupFd(self.descriptor),)

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


def received_file(duplicate) -> SharedFile:
    return SharedFile(duplicate.detach())


def unnamed_file(purpose: str, size: int = 0) -> SharedFile:
    """A file of `size` zero bytes in memory where the system offers that, else an unlinked temporary one."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create(f"rasgd {purpose}")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, size)
    return SharedFile(descriptor)


class Slots:
    """Equal places for `[num_replicas, d]` tensors, the same memory in every process that opens them.

    Pages are taken from the system when they are first written, so places that are never used cost nothing.
    """

    def __init__(self, file: SharedFile | None, count: int, num_replicas: int, dim: int, dtype: torch.dtype):
        element = torch.empty(0, dtype=dtype).element_size()
        stride = -(-num_replicas * dim * element // ALIGNMENT) * ALIGNMENT
        self.file = file or unnamed_file("vectors", stride * count)
        memory = mmap.mmap(self.file.descriptor, stride * count)
        numpy_dtype = torch.empty(0, dtype=dtype).numpy().dtype
        self.arrays = [np.ndarray((num_replicas, dim), numpy_dtype, memory, slot * stride) for slot in range(count)]
        self.tensors = [torch.from_numpy(array) for array in self.arrays]
        self.shape = (count, num_replicas, dim, dtype)

    def __reduce__(self):
        return Slots, (self.file, *self.shape)


class Loan(weakref.ref):
    """Watches the memory of one tensor that was handed out; knows its slot."""

    __slots__ = ("slot",)


class GradientSlots:
    """The server's side of the gradient slots: free, in a worker's hands, or on loan to the method.

    A method owns the gradients it is given, and some keep them for long. A slot is free again when the last tensor on
    its memory is gone. `reserve` slots are never lent: when the others are used up, the method gets a copy instead, as
    it does of short gradients, whose copy takes less time than a loan.
    The slot that was freed last is taken first: it is still in the cache, and most processes have its pages mapped.
    """

    def __init__(self, slots: Slots, reserve: int):
        self.arrays = slots.arrays
        self.free = list(range(len(self.arrays)))
        self.max_lent = len(self.arrays) - reserve
        self.loans: dict[int, Loan] = {}
        if slots.arrays[0].nbytes <= SHORT_BYTES:
            self.max_lent = 0

    def take(self) -> int:
        """A slot for a worker to write to."""
        return self.free.pop()

    def give_back(self, slot: int) -> None:
        self.free.append(slot)

    def lend(self, slot: int) -> Tensor:
        """The gradient in the slot, as a tensor that belongs to the receiver."""
        if len(self.loans) >= self.max_lent:
            self.free.append(slot)
            return torch.from_numpy(self.arrays[slot].copy())
        view = self.arrays[slot][...]
        loan = Loan(view, self.end_loan)
        loan.slot = slot
        self.loans[slot] = loan
        return torch.from_numpy(view)

    def end_loan(self, loan: Loan) -> None:
        del self.loans[loan.slot]
        self.free.append(loan.slot)


class PointSlots:
    """The server's side of the point slots: each holds one x that workers were handed.

    A long x is made in a slot of its own, which is free again when the tensor is gone. A short one, and one that was
    made elsewhere, is copied to a slot when it is handed out; workers that are handed the same tensor share its slot.
    """

    def __init__(self, slots: Slots, num_workers: int):
        self.tensors, self.arrays = slots.tensors, slots.arrays
        self.short = slots.arrays[0].nbytes <= SHORT_BYTES
        num_copies = num_workers + 2
        self.points: list[Tensor | None] = [None] * num_copies
        self.readers = [0] * num_copies
        self.slot_of = [-1] * num_workers  # the copy that a worker holds
        self.free = list(range(num_copies))
        self.latest = -1
        self.free_places = list(range(num_copies, len(slots.tensors)))
        self.slot_at = {slots.tensors[slot].data_ptr(): slot for slot in self.free_places}
        self.loans: dict[int, Loan] = {}

    def placed_addcmul(self, x: Tensor, step_size: Tensor, direction: Tensor, value: float) -> Tensor:
        """x + value·step_size·direction, in a slot if there is a free one."""
        if not self.free_places:
            return x.addcmul(step_size, direction, value=value)
        slot = self.free_places.pop()
        view = self.arrays[slot][...]
        loan = self.loans[slot] = Loan(view, self.end_loan)
        loan.slot = slot
        return torch.addcmul(x, step_size, direction, value=value, out=torch.from_numpy(view))

    def end_loan(self, loan: Loan) -> None:
        del self.loans[loan.slot]
        self.free_places.append(loan.slot)

    def hand(self, worker: int, point: Tensor) -> int:
        """The slot from which an idle worker reads the point; a copy that it held before is given up."""
        held = self.slot_of[worker]
        if held >= 0:
            if self.points[held] is point:
                return held
            self.slot_of[worker] = -1
            self.readers[held] -= 1
            if not self.readers[held] and held != self.latest:
                self.release(held)
        if not self.short:
            slot = self.slot_at.get(point.data_ptr())
            if slot is not None:
                return slot
        slot = self.latest
        if slot < 0 or self.points[slot] is not point:
            if slot >= 0 and not self.readers[slot]:
                self.release(slot)
            slot = self.latest = self.free.pop()
            self.points[slot] = point  # kept alive, so that identity means equality
            self.tensors[slot].copy_(point)
        self.slot_of[worker] = slot
        self.readers[slot] += 1
        return slot

    def release(self, slot: int) -> None:
        self.points[slot] = None
        self.free.append(slot)
