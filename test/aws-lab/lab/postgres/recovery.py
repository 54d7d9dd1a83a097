"""New servers from the files of a backup."""

import os
from datetime import datetime, timezone
from typing import Mapping

from .backup import Backup
from .cluster import Cluster
from .files import Copier


def from_backup(cluster: Cluster, backup: Backup, settings: Mapping[str, str], copier: Copier) -> None:
    """Starts a server from a backup's files as they are: it replays the WAL that is in them."""
    _lay_out(cluster, backup, copier)
    cluster.start(settings)


def link_archive(source: str, target: str) -> None:
    """Keeps what is archived now for a recovery, whatever happens to the archive: segments never change."""
    os.mkdir(target, 0o755)
    os.chmod(target, 0o755)
    for name in os.listdir(source):
        if name.endswith(".gz"):
            os.link(os.path.join(source, name), os.path.join(target, name))


def to_time(cluster: Cluster, backup: Backup, archive: str, target: datetime, settings: Mapping[str, str], copier: Copier) -> None:
    """Starts a server from a backup, recovers to a time (UTC) with the archived WAL and opens a timeline of its own."""
    _lay_out(cluster, backup, copier)
    cluster.host.write(os.path.join(cluster.data, "recovery.signal"), "")
    moment = target.replace(tzinfo=timezone.utc).isoformat(sep=" ")
    cluster.host.write(
        os.path.join(cluster.data, "postgresql.auto.conf"),
        f"restore_command = 'test -f \"{archive}/%f.gz\" && gzip -dc \"{archive}/%f.gz\" > \"%p\"'\n"
        f"recovery_target_time = '{moment}'\nrecovery_target_action = 'promote'\nrecovery_target_timeline = 'current'\n",
    )
    cluster.start(settings)


def _lay_out(cluster: Cluster, backup: Backup, copier: Copier) -> None:
    copier.tree(os.path.join(backup.directory, "data"), cluster.data, lambda path: False)
    # Its source may have been recovered to a time itself, and says so there.
    cluster.host.write(os.path.join(cluster.data, "postgresql.auto.conf"), "")
