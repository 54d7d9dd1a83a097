"""An instance: moto's record of it, and the server behind it."""

import random
import string
import threading
from datetime import datetime
from typing import Any

from moto.rds.models import DBInstance

from ..postgres.archive import Archiver
from ..postgres.cluster import Cluster
from ..postgres.parameters import effective
from .snapshot import earliest


class LabInstance(DBInstance):
    """A DB instance of the lab. Its state changes under the lab's lock only."""

    def __init__(self, backend: Any, **kwargs: Any) -> None:
        super().__init__(backend, engine="postgres", license_model="postgresql-license", **kwargs)
        self.status = "creating"
        # moto gives every instance the same one.
        self.dbi_resource_id = "db-" + "".join(random.SystemRandom().choices(string.ascii_uppercase + string.digits, k=26))
        if not self.option_group_supplied:
            self.option_group_name = f"default:postgres-{backend.lab.postgres_major}"
        self.ca_certificate_identifier = "rds-ca-rsa2048-g1"
        self.pending_modified_values: dict[str, Any] = {}
        self.server: Cluster | None = None
        self.archiver: Archiver | None = None
        # Set when it is deleted: whatever is under way ends at its next step.
        self.gone = threading.Event()
        # Set once its server is there, or will never be.
        self.made = threading.Event()
        # Restored elsewhere from its automated backups, its WAL archive is needed even without a server.
        self.archive: str | None = None
        self.reachable = False
        # Of copies that stale reads answer from: the moment they stand for.
        self.as_of: datetime | None = None

    @property
    def endpoint(self) -> dict[str, Any] | None:  # type: ignore[override]
        """The address of the real server, only when there is one."""
        if self.server is None or not self.reachable:
            return None
        return {"Address": "127.0.0.1", "Port": self.server.port, "HostedZoneId": "Z00000000000000000000"}

    @property
    def db_instance_port(self) -> int:  # type: ignore[override]
        """RDS answers 0 for what is no member of a cluster."""
        return 0

    @property
    def latest_restorable_time(self) -> datetime | None:  # type: ignore[override]
        """What is really archived, once there is an automated backup to start from."""
        if not self.backup_retention_period or self.archiver is None:
            return None
        latest = self.archiver.latest(self.as_of)
        bases = self.backend.bases_of(self)
        return latest if latest and bases and earliest(bases[0]) <= latest else None

    def settings(self) -> dict[str, str]:
        """Of the server, by the parameter group that it has now."""
        return effective(self.db_parameter_groups()[0].parameters)

    def keep_archiving(self) -> None:
        """Starts or ends archiving, by the retention that it has now."""
        if self.server is None:
            return
        if self.backup_retention_period and self.archiver is None:
            self.server.keep_archive(True)
            self.archive = self.server.archive
            self.archiver = Archiver(self.server, self.backend.lab.settings)
        elif not self.backup_retention_period and self.archiver is not None:
            self.archiver.stop()
            self.archiver = None
