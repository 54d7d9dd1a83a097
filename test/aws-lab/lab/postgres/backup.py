"""Base backups: the real files of a running server, with the WAL that makes them consistent."""

import os
import secrets
from dataclasses import dataclass
from datetime import datetime

from moto.core.utils import utcnow

from .cluster import Cluster
from .files import Copier, left_out_of_backups


@dataclass(frozen=True)
class Backup:
    """Files of a data directory that a server can be started from."""

    directory: str
    # All that was committed before this time is in it, and little else.
    taken: datetime
    # Nothing that was committed after this time is in it: from here on it can be recovered to a point in time.
    consistent: datetime


def take(cluster: Cluster, directory: str, copier: Copier) -> Backup:
    """Copies the data directory while it is written to. It needs no archive: the WAL in between is in the backup."""
    data = os.path.join(directory, "data")
    with cluster.admin() as session:
        # A slot, so that no checkpoint removes WAL of the meantime; temporary, so that it goes with the session.
        session.run("SELECT pg_create_physical_replication_slot(:name, true, true)", name=f"rds_backup_{secrets.token_hex(4)}")
        ((first,),) = session.run("SELECT pg_walfile_name(pg_backup_start('rds', true))")
        cluster.host.make_directory(directory)
        copier.tree(cluster.data, data, left_out_of_backups(cluster.data))
        taken = utcnow()
        ((label, last),) = session.run("SELECT labelfile, pg_walfile_name(lsn) FROM pg_backup_stop(false)")
        consistent = utcnow()
        cluster.host.write(os.path.join(data, "backup_label"), label)
        for name in sorted(os.listdir(os.path.join(cluster.data, "pg_wal"))):
            # Segments from the first to the last one, and what says which timelines there were.
            if len(name) == 24 and first <= name <= last or name.endswith(".history"):
                copier.file(os.path.join(cluster.data, "pg_wal", name), os.path.join(data, "pg_wal", name))
    return Backup(directory, taken, consistent)
