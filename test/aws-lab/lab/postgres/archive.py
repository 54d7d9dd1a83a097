"""What of a server's WAL is archived, and up to which moment it can be recovered."""

import os
import threading
import time
from datetime import datetime, timedelta

from moto.core.utils import utcnow
from pg8000.native import DatabaseError, InterfaceError

from ..settings import Settings
from .cluster import Cluster
from .roles import ADMIN_DATABASE

# The archive command of a busy machine.
ARCHIVED_SECONDS = 30.0


class Archiver:
    """Commits something, switches to a new WAL segment and waits until that is archived, again and again."""

    def __init__(self, cluster: Cluster, settings: Settings) -> None:
        self._cluster = cluster
        self._settings = settings
        self._stopped = threading.Event()
        self._turn = threading.Lock()
        # Moments up to which everything is archived, in ascending order.
        self._moments: list[datetime] = []
        self._thread = threading.Thread(target=self._run, name="archiver", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends it; what is archived stays."""
        self._stopped.set()
        self._thread.join(ARCHIVED_SECONDS)

    def latest(self, at: datetime | None = None) -> datetime | None:
        """The latest second that can be recovered to, as of a time: archived, and so long ago that the lag has passed."""
        until = (at or utcnow()) - timedelta(milliseconds=self._settings.archive_lag_ms)
        reached = [moment for moment in list(self._moments) if moment <= until]
        return reached[-1].replace(microsecond=0) if reached else None

    def archive_now(self) -> None:
        """Archives all that is committed at this moment.

        Recovery stops before the first commit that is later than its target, and fails where there is none: so a moment
        counts only once a later commit is in the archive.
        """
        with self._turn, self._cluster.admin(ADMIN_DATABASE) as session:
            moment = utcnow()
            session.run("UPDATE rds_heartbeat2 SET value = clock_timestamp()")
            ((segment,),) = session.run("SELECT pg_walfile_name(pg_switch_wal())")
            deadline = time.monotonic() + ARCHIVED_SECONDS
            while not os.path.exists(os.path.join(self._cluster.archive, f"{segment}.gz")):
                if time.monotonic() > deadline:
                    raise RuntimeError(f"WAL segment {segment} was not archived within {ARCHIVED_SECONDS:.0f} s")
                time.sleep(0.01)
            self._moments.append(moment)

    def _run(self) -> None:
        while not self._stopped.wait(self._settings.archive_every_ms / 1000):
            if self._settings.archive_paused:
                continue
            try:
                self.archive_now()
            except (DatabaseError, InterfaceError, OSError, RuntimeError):
                # It restarts, or it has gone: the latest restorable time stands still meanwhile, as it would in RDS.
                continue
