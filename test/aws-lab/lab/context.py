"""What the request of this thread meets."""

import threading

_local = threading.local()


def set_stale_seconds(seconds: float) -> None:
    """How old the answer to this thread's request is to be; 0 for a fresh one."""
    _local.stale_seconds = seconds


def stale_seconds() -> float:
    """Set by the wrapper for the request that this thread answers."""
    return getattr(_local, "stale_seconds", 0.0)
