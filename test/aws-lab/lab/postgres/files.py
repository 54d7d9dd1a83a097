"""Copies of data directories."""

import errno
import fcntl
import os
import shutil
from typing import Callable

from .host import Host

# Linux: two files share their blocks until one of them is written to.
FICLONE = 0x40049409

# Left out of backups: what belongs to the running server only (PostgreSQL documentation, 25.3.4).
NOT_BACKED_UP = {"pg_wal", "pg_replslot", "pg_dynshmem", "pg_notify", "pg_serial", "pg_snapshots", "pg_stat_tmp", "pg_subtrans"}
NOT_BACKED_UP_FILES = {"postmaster.pid", "postmaster.opts", "postgresql.auto.conf.tmp"}


class Copier:
    """Copies files by reference where the file system can, by bytes elsewhere."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._clones = True

    def file(self, source: str, target: str) -> None:
        """Copies one file, which stays private to the servers' user."""
        with open(source, "rb") as reader, open(target, "wb") as writer:
            if not (self._clones and self._clone(reader.fileno(), writer.fileno())):
                shutil.copyfileobj(reader, writer, 1 << 20)
            os.fchmod(writer.fileno(), 0o600)
        self._host.own(target)

    def tree(self, source: str, target: str, skipped: Callable[[str], bool]) -> None:
        """Copies a directory; files may change or vanish meanwhile. Contents of a skipped directory are left out, itself not."""
        self._host.make_directory(target)
        for entry in list(os.scandir(source)):
            destination = os.path.join(target, entry.name)
            try:
                if entry.is_dir(follow_symlinks=False):
                    if skipped(entry.path):
                        self._host.make_directory(destination)
                    else:
                        self.tree(entry.path, destination, skipped)
                elif entry.is_file(follow_symlinks=False) and not skipped(entry.path):
                    self.file(entry.path, destination)
            except FileNotFoundError:
                continue

    def _clone(self, reader: int, writer: int) -> bool:
        try:
            fcntl.ioctl(writer, FICLONE, reader)
            return True
        except OSError as error:
            # Not on this file system: do not ask again for each of a thousand files.
            if error.errno in (errno.EOPNOTSUPP, errno.ENOTTY, errno.EXDEV, errno.EINVAL):
                self._clones = False
            return False


def left_out_of_backups(root: str) -> Callable[[str], bool]:
    """Tells for each path below a running server's data directory whether a backup leaves it out."""

    def skipped(path: str) -> bool:
        relative = os.path.relpath(path, root)
        return relative in NOT_BACKED_UP or relative in NOT_BACKED_UP_FILES or os.path.basename(path).startswith("pgsql_tmp")

    return skipped
