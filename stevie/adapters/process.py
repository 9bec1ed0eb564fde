"""Process: what the operating system knows of this one."""

import os
import time
from pathlib import Path

from stevie.adapters.clock import LiveClock

STAT = Path("/proc/self/stat")
START_TIME = 19  # among the fields after the command's name, in clock ticks since the boot
IMPORTED_NS = LiveClock.monotonic_ns()


def age_ms() -> int:
    """Milliseconds since this process began; where there is no /proc, since it came here first."""
    try:
        fields = STAT.read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    except OSError:
        return (LiveClock.monotonic_ns() - IMPORTED_NS) // 1_000_000
    began_s = int(fields[START_TIME]) / os.sysconf("SC_CLK_TCK")
    return round((time.clock_gettime(time.CLOCK_BOOTTIME) - began_s) * 1000)
