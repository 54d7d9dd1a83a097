"""A snapshot: moto's record of it, and the files behind it."""

import copy
import threading
import time
from datetime import datetime, timedelta
from typing import Any

from moto.rds.models import DBSnapshot

from ..postgres.backup import Backup


def earliest(base: "LabSnapshot") -> datetime:
    """The first full second that recovery from this one can stop at: it cannot before its files are consistent."""
    assert base.backup is not None
    return base.backup.consistent.replace(microsecond=0) + timedelta(seconds=1)


class LabSnapshot(DBSnapshot):
    """A DB snapshot of the lab; `creating` until its files are there."""

    def __init__(self, backend: Any, database: Any, snapshot_id: str, **kwargs: Any) -> None:
        self._shown_as: str | None = None
        super().__init__(backend, database, snapshot_id, **kwargs)
        self.status = "creating"
        self.backup: Backup | None = None
        self.storage_type = database.storage_type
        self.license_model = database.license_model
        self.option_group_name = database.option_group_name
        self.availability_zone = database.availability_zone
        self.backup_retention_period = database.backup_retention_period
        self.snapshot_target = "region"
        self.source_region: str | None = None
        self.source_db_snapshot_identifier: str | None = None
        # Of the server at that time: recovery must not run with lower ones.
        self.server_settings: dict[str, str] = {}
        # None until the files are taken; a test may set it back.
        self.taken: datetime | None = None
        self.original_snapshot_create_time = None  # type: ignore[assignment]
        self.gone = threading.Event()
        self._began = time.monotonic()
        self._expected_seconds = 1.0

    @property
    def db_snapshot_identifier(self) -> str:
        """Its name; for those of another account, as RDS shows them, their ARN."""
        return self._shown_as or self._db_snapshot_identifier

    @db_snapshot_identifier.setter
    def db_snapshot_identifier(self, value: str) -> None:
        self._db_snapshot_identifier = value.lower()

    @property
    def resource_id(self) -> str:
        """Part of its ARN."""
        return self._db_snapshot_identifier

    @property
    def snapshot_create_time(self) -> datetime | None:  # type: ignore[override]
        """When it was taken; nothing before."""
        return self.taken

    @property
    def snapshot_database_time(self) -> datetime | None:
        """The moment that the data stands for."""
        return self.original_snapshot_create_time

    @property
    def percent_progress(self) -> int:
        """By the time that passed, 100 only when it is available."""
        if self.status == "available":
            return 100
        return min(99, int(100 * (time.monotonic() - self._began) / self._expected_seconds))

    def begin(self, seconds: float) -> None:
        """Progress is counted from now on and expected to take so long."""
        self._began = time.monotonic()
        self._expected_seconds = max(seconds, 0.001)

    def shown_to(self, account: str) -> "LabSnapshot":
        """As that account sees it in a listing."""
        if account == self.account_id:
            return self
        shown = copy.copy(self)
        shown._shown_as = self.arn
        shown.tags = []
        return shown
