"""What a test steers: how long things take, and what happens next."""

import threading
from typing import Any

# Fractions of a second: long enough to be seen by somebody who polls, short enough for tests.
DURATIONS_MS: dict[str, int] = {
    "create": 300,  # creating, of a new instance
    "restore": 300,  # creating, of a restored one
    "backUp": 200,  # backing-up
    "beforeModify": 100,  # after the answer to ModifyDBInstance, in which the instance still says it is available
    "modify": 200,  # modifying
    "reboot": 200,  # rebooting
    "delete": 200,  # deleting
    "snapshot": 300,  # a snapshot is creating
    "copySnapshot": 300,  # a copy of one is creating
    "deliverEvent": 0,  # from an event to its message in SNS
}


class Settings:
    """Values that the control API changes while the lab runs; safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._durations = dict(DURATIONS_MS)
        self.archive_every_ms = 1000
        self.archive_lag_ms = 0
        self.archive_paused = False
        self.refuses_delete_while_creating = False
        self.enforces_policies = False
        self._failures: list[dict[str, str]] = []

    def seconds(self, name: str) -> float:
        """How long a phase takes at least."""
        with self._lock:
            return self._durations[name] / 1000

    def set_durations(self, given: dict[str, Any]) -> dict[str, int]:
        """Takes over those that are given and answers all."""
        unknown = sorted(set(given) - set(DURATIONS_MS))
        if unknown:
            raise ValueError(f"no such duration: {', '.join(unknown)}")
        with self._lock:
            self._durations.update({name: int(value) for name, value in given.items()})
            return dict(self._durations)

    def fail_next_restore(self, failure: dict[str, str]) -> None:
        """The next restore that nothing else is planned for ends so."""
        with self._lock:
            self._failures.append(failure)

    def take_failure(self) -> dict[str, str] | None:
        """What the restore that begins now ends in, or None for a healthy one."""
        with self._lock:
            return self._failures.pop(0) if self._failures else None
