"""Print what a full run will cost and warn where this machine is short of it.

Runs before the environment exists, so it needs the standard library only.
"""

import argparse
import os
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

GIGABYTE = 1e9


class Cost(NamedTuple):
    """What a run at one scale takes on two cores."""

    minutes: str
    disk_bytes: float  # results and data, without the environment
    memory_bytes: float  # most that all jobs together hold at one time
    data: str  # what is downloaded, unless it is already in data/ or in a folder the user names


# Minutes and memory are for the two jobs that run at a time on two cores; the README's minutes are these.
COSTS = {
    "laptop": Cost("about 15 minutes", 0.5 * GIGABYTE, 3 * GIGABYTE, "Fashion-MNIST, 31 MB"),
    "paper": Cost("several hours", 5 * GIGABYTE, 6 * GIGABYTE, "MNIST and Fashion-MNIST, 43 MB"),
}
# With the CPU build of torch; its CUDA build, which package indexes may hand out on Linux, is far larger.
ENVIRONMENT_BYTES = 2.0 * GIGABYTE
ENVIRONMENT_DOWNLOAD = "the pinned packages, about 0.5 GB (on Linux several GB where the index offers torch with CUDA)"


def available_memory(path_to_meminfo: Path = Path("/proc/meminfo")) -> float | None:
    """Bytes of memory that programs can still take; None where the system does not tell."""
    try:
        for line in path_to_meminfo.read_text().splitlines():
            name, _, value = line.partition(":")
            if name == "MemAvailable":
                return 1024.0 * int(value.split()[0])
    except OSError:
        pass
    try:  # not Linux: all the memory there is
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (ValueError, OSError, AttributeError):
        return None


def usable_cores() -> int:
    """Number of cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def shortages(cost: Cost, environment_exists: bool, free_disk: float, free_memory: float | None) -> list[str]:
    """One sentence for each resource (in bytes) of which less is free than the run takes; empty where all is well."""
    disk = cost.disk_bytes + (0 if environment_exists else ENVIRONMENT_BYTES)
    found = []
    if free_disk < disk:
        found.append(f"the disk has {_gigabytes(free_disk)} free, the run takes {_gigabytes(disk)}")
    if free_memory is not None and free_memory < cost.memory_bytes:
        found.append(f"{_gigabytes(free_memory)} of memory are free, the run takes {_gigabytes(cost.memory_bytes)}")
    return found


def _gigabytes(num_bytes: float) -> str:
    return f"{num_bytes / GIGABYTE:.1f} GB"


def announcement(scale: str, environment_exists: bool, cores: int) -> str:
    """The lines that tell the expected minutes, disk, memory and downloads of a run at `scale`."""
    cost = COSTS[scale]
    downloads = [cost.data] if environment_exists else [ENVIRONMENT_DOWNLOAD, cost.data]
    disk = _gigabytes(cost.disk_bytes)
    if not environment_exists:
        disk += f", and {_gigabytes(ENVIRONMENT_BYTES)} for the environment in .venv/ (1 to 2 minutes to set up)"
    return "\n".join(
        [
            f"Reproducing at scale {scale}:",
            f"  time       {cost.minutes} on 2 cores (this machine has {cores})",
            f"  disk       {disk}",
            f"  memory     {_gigabytes(cost.memory_bytes)}",
            f"  downloads  {'; '.join(downloads)}",
        ]
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", choices=COSTS, default="laptop")
    scale = parser.parse_args(arguments).scale
    environment_exists = Path(".venv/.complete").exists()
    print(announcement(scale, environment_exists, usable_cores()))
    for shortage in shortages(COSTS[scale], environment_exists, shutil.disk_usage(".").free, available_memory()):
        print(f"Warning: {shortage}.", file=sys.stderr)
    sys.stdout.flush()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
