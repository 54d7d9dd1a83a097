"""The log of all calls, and of what the lab could not do."""

import threading
import time
from collections import deque
from dataclasses import asdict, dataclass, field
from typing import Any

KEPT = 50_000


@dataclass
class Call:
    """One request. Values of parameters are not kept, except those that name something."""

    service: str
    action: str
    region: str
    account: str
    at: str
    identifiers: dict[str, list[str]]
    parameters: list[str]
    # None until it is answered; 0 when the reply was lost on purpose.
    status: int | None = None
    errorCode: str | None = None
    milliseconds: int | None = None
    faults: list[str] = field(default_factory=list)


class Calls:
    """Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: deque[Call] = deque(maxlen=KEPT)
        self._unimplemented: list[dict[str, Any]] = []

    def add(self, call: Call) -> Call:
        """Records a call that begins."""
        with self._lock:
            self._calls.append(call)
        return call

    def all(self) -> list[dict[str, Any]]:
        """In the order in which they came."""
        with self._lock:
            return [asdict(call) for call in self._calls]

    def clear(self) -> None:
        """Forgets the calls; what was not implemented stays."""
        with self._lock:
            self._calls.clear()

    def not_implemented(self, service: str, action: str, detail: str) -> None:
        """Records what real AWS would have done and the lab did not."""
        with self._lock:
            self._unimplemented.append({"service": service, "action": action, "detail": detail[:1000], "at": timestamp()})

    def unimplemented(self) -> list[dict[str, Any]]:
        """All of that, since the lab started."""
        with self._lock:
            return list(self._unimplemented)


def timestamp(seconds: float | None = None) -> str:
    """RFC 3339 in UTC with milliseconds."""
    now = time.time() if seconds is None else seconds
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now * 1000) % 1000:03d}Z"
