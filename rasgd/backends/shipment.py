"""A problem on its way to the workers: its tensors lie once in shared memory, whatever the number of workers."""

from __future__ import annotations

import io
import mmap
import pickle

import torch
from torch import Tensor

from rasgd.backends.slots import ALIGNMENT, SharedFile, unnamed_file
from rasgd.problems.base import Problem


class Shipment:
    """A problem packed for processes that this process starts; never read from a file or a network.

    Raises:
        ValueError: if the problem cannot be sent to another process.
    """

    def __init__(self, problem: Problem):
        stream = io.BytesIO()
        packer = Packer(stream, protocol=5)
        try:
            packer.dump(problem)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise ValueError(f"problem cannot be sent to worker processes: {error}") from None
        self.structure = stream.getvalue()
        self.needs_main = b"__main__" in self.structure  # it holds objects of classes of the main script
        self.size = max(packer.size, 1)
        self.file = unnamed_file("problem", self.size)
        with mmap.mmap(self.file.descriptor, self.size) as memory:
            for offset, storage in packer.storages.values():
                memory[offset : offset + storage.nbytes()] = bytes_of(storage)

    def unpack(self) -> Problem:
        """The problem in a worker. What the worker writes to its tensors nobody else sees."""
        return Unpacker(self.structure, self.file, self.size).load()


def bytes_of(storage: torch.UntypedStorage) -> memoryview:
    return memoryview(torch.empty(0, dtype=torch.uint8).set_(storage).numpy())


class Packer(pickle.Pickler):
    """Replaces tensors by their place in shared memory; tensors that share storage go on sharing it."""

    def __init__(self, stream, protocol):
        super().__init__(stream, protocol)
        self.storages = {}  # address → (offset, storage)
        self.size = 0

    def persistent_id(self, value):
        if type(value) is not Tensor or value.device.type != "cpu":
            return None
        storage = value.untyped_storage()
        if not storage.nbytes():
            return None
        address = storage.data_ptr()
        if address not in self.storages:
            self.storages[address] = (self.size, storage)
            self.size += -(-storage.nbytes() // ALIGNMENT) * ALIGNMENT
        offset = self.storages[address][0]
        return offset, storage.nbytes(), value.dtype, value.shape, value.stride(), value.storage_offset()


class Unpacker(pickle.Unpickler):
    def __init__(self, structure: bytes, file: SharedFile, size: int):
        super().__init__(io.BytesIO(structure))
        self.memory = mmap.mmap(file.descriptor, size, access=mmap.ACCESS_COPY)
        self.storages = {}

    def persistent_load(self, place):
        offset, size, dtype, shape, stride, storage_offset = place
        if offset not in self.storages:
            flat = torch.frombuffer(self.memory, dtype=torch.uint8, count=size, offset=offset)
            self.storages[offset] = flat.untyped_storage()
        return torch.empty(0, dtype=dtype).set_(self.storages[offset], storage_offset, shape, stride)
