"""What goes wrong on demand."""

import secrets
import threading
import time
from dataclasses import dataclass
from typing import Any

KINDS = ("denied", "throttle", "serverError", "lostReply", "slow", "staleReads")


@dataclass
class Fault:
    """One that is switched on. It ends after so many calls, or so many seconds, or when it is switched off."""

    id: str
    kind: str
    service: str
    action: str
    # Calls that it lets pass first.
    after: int
    calls: int | None
    until: float | None
    # Of `slow`: how long; of `staleReads`: how old.
    seconds: float
    struck: int = 0

    def applies(self, service: str, action: str) -> bool:
        """Whether it strikes a call at this moment."""
        if self.service not in ("*", service) or self.action not in ("*", action):
            return False
        if self.kind == "staleReads" and not action.startswith(("Describe", "List")):
            return False
        return (self.calls is None or self.struck < self.calls) and (self.until is None or time.monotonic() < self.until)


class Faults:
    """Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def add(self, given: dict[str, Any]) -> str:
        """Switches one on; answers its id."""
        kind = given.get("kind")
        unknown = sorted(set(given) - {"kind", "service", "action", "after", "calls", "forSeconds", "seconds"})
        if kind not in KINDS or unknown:
            raise ValueError(f"a fault has a kind of {', '.join(KINDS)} and no {', '.join(unknown) or 'other'}: {kind}")
        service = given.get("service", "rds")
        if kind == "staleReads" and service != "rds":
            raise ValueError("only reads of rds can be stale")
        if kind in ("slow", "staleReads") and not given.get("seconds"):
            raise ValueError(f"{kind} needs seconds")
        lasts = given.get("forSeconds")
        fault = Fault(
            id=secrets.token_hex(4), kind=kind, service=service, action=given.get("action", "*"), after=int(given.get("after", 0)),
            calls=given.get("calls"), until=None if lasts is None else time.monotonic() + float(lasts), seconds=float(given.get("seconds", 0)),
        )
        with self._lock:
            self._faults.append(fault)
        return fault.id

    def strike(self, service: str, action: str) -> list[Fault]:
        """Those that this call meets; each counts it."""
        met = []
        with self._lock:
            for fault in self._faults:
                if not fault.applies(service, action):
                    continue
                if fault.after > 0:
                    fault.after -= 1
                    continue
                fault.struck += 1
                met.append(fault)
        return met

    def all(self) -> list[dict[str, Any]]:
        """Each with how often it struck, also those that ended by themselves."""
        with self._lock:
            return [{"id": one.id, "kind": one.kind, "service": one.service, "action": one.action, "struck": one.struck} for one in self._faults]

    def remove(self, identifier: str | None) -> None:
        """Switches one off, or all; their counters go with them."""
        with self._lock:
            self._faults = [one for one in self._faults if identifier is not None and one.id != identifier]
