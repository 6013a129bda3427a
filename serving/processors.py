"""What this process may use of the machine."""

import math
import os
import pathlib

QUOTA = pathlib.Path("/sys/fs/cgroup/cpu.max")  # of a container: microseconds in each period, or "max"


def schedulable_processors() -> int:
    """The processors that this process may use at once: those it is bound to, or its container's limit if lower."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(bound, limit() or bound)


def limit() -> int | None:
    """The container's limit on processor time, in whole processors; None without one.

    Source: the kernel's cgroup-v2 documentation, "cpu.max". Who starts more threads than that is stopped for what is
    left of each period.
    """
    try:
        microseconds, period = QUOTA.read_text().split()
        return math.ceil(int(microseconds) / int(period))
    except (OSError, ValueError):  # there is none; or it is "max"
        return None
