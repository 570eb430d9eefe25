"""What Linux says of this machine: CPU, memory of a process, flushes of the disk."""

import os
import pathlib
import platform

TICKS = os.sysconf("SC_CLK_TCK")
FLUSHES = 15  # the 16th number of a disk's stat, in Linux 5.5 and later


def cpus():
    return os.cpu_count() or 1


def describe():
    model = next((l for l in pathlib.Path("/proc/cpuinfo").read_text().splitlines() if l.startswith("model name")), "")
    return f"{cpus()} shared cores ({model.partition(': ')[2] or platform.machine()}), Linux {platform.release()}"


def steal_s():
    """CPU seconds that the host gave to others, over all cores."""
    return int(pathlib.Path("/proc/stat").read_text().split("\n")[0].split()[8]) / TICKS


def rss_mib(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(l for l in lines if l.startswith("VmRSS")).split()[1]) / 1024


def disk_of(folder):
    """The disk that holds the folder, or None where it is no disk. Partitions count no flushes, so it is the whole."""
    device = os.stat(folder).st_dev
    link = pathlib.Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}")
    if not link.exists():
        return None
    place = link.resolve()
    return place.parent if (place / "partition").exists() else place


def flushes(disk):
    """How often the disk was told to flush, or None where that is not counted."""
    numbers = (disk / "stat").read_text().split()
    return int(numbers[FLUSHES]) if len(numbers) > FLUSHES else None
