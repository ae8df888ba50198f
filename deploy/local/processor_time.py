"""Says how much processor time processes have used, where the system (Linux) tells."""

import os
from pathlib import Path

USER_FIELD, SYSTEM_FIELD = 11, 12
"""Of ``/proc/{pid}/stat``, counted from behind the name in parentheses (proc(5): utime and stime)."""


def cpu_seconds(pid: int) -> float:
    """The processor time of a process so far; 0 if there is none, or the system does not tell."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return 0.0
    fields = text.rpartition(")")[2].split()
    ticks = int(fields[USER_FIELD]) + int(fields[SYSTEM_FIELD])
    return ticks / os.sysconf("SC_CLK_TCK")
