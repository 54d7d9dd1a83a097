"""Files of backups: several snapshots may stand for the same ones, and they go with the last."""

import os
import secrets
import shutil
import threading

from .postgres import backup
from .postgres.backup import Backup
from .postgres.cluster import Cluster
from .postgres.files import Copier


class BackupStore:
    """Counts who needs which backup."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._held: dict[str, int] = {}

    def take(self, cluster: Cluster, copier: Copier) -> Backup:
        """A new one, held once."""
        directory = os.path.join(self._folder, secrets.token_hex(6))
        try:
            taken = backup.take(cluster, directory, copier)
        except BaseException:
            shutil.rmtree(directory, ignore_errors=True)
            raise
        with self._lock:
            self._held[directory] = 1
        return taken

    def hold(self, held: Backup) -> Backup:
        """Keeps its files until they are released once more."""
        with self._lock:
            self._held[held.directory] += 1
        return held

    def release(self, held: Backup) -> None:
        """Removes the files when nobody else holds them."""
        with self._lock:
            self._held[held.directory] -= 1
            last = self._held[held.directory] == 0
            if last:
                del self._held[held.directory]
        if last:
            shutil.rmtree(held.directory, ignore_errors=True)
