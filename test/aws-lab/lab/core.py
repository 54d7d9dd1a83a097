"""The lab itself: what all its parts share."""

import os
import secrets
import shutil
import subprocess
import sys
import threading
import time
import traceback
from typing import Callable

from .calls import Calls
from .faults import Faults
from .postgres.backup import Backup
from .postgres.cluster import Cluster
from .postgres.files import Copier
from .postgres.host import Host
from .settings import Settings
from .store import BackupStore


class Cancelled(Exception):
    """What was under way is not wanted any more."""


class Lab:
    """One lab with its folder; everything in it ends with `stop`."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.settings = Settings()
        self.calls = Calls()
        self.faults = Faults()
        self.copier = Copier(host)
        self.backups = BackupStore(os.path.join(host.folder, "backups"))
        # moto is not made for threads: whoever reads or changes its state holds this.
        self.lock = threading.RLock()
        self.stopping = threading.Event()
        self.postgres_version = _version(host)
        self.postgres_major = self.postgres_version.split(".", maxsplit=1)[0]
        self._clusters: set[Cluster] = set()
        os.mkdir(os.path.join(host.folder, "servers"), 0o711)
        os.mkdir(os.path.join(host.folder, "backups"), 0o711)
        for name in ("servers", "backups"):
            os.chmod(os.path.join(host.folder, name), 0o711)

    def new_cluster(self) -> Cluster:
        """A place for a server, with nothing in it."""
        cluster = Cluster(self.host, os.path.join(self.host.folder, "servers", secrets.token_hex(6)))
        with self.lock:
            self._clusters.add(cluster)
        return cluster

    def end_cluster(self, cluster: Cluster, keep_archive: bool) -> None:
        """Ends a server at once and removes its files, its archive only when nobody wants to recover from it."""
        cluster.destroy()
        for name in os.listdir(cluster.directory):
            path = os.path.join(cluster.directory, name)
            if os.path.isdir(path) and not (keep_archive and path == cluster.archive):
                shutil.rmtree(path, ignore_errors=True)
        if not keep_archive:
            shutil.rmtree(cluster.directory, ignore_errors=True)
        with self.lock:
            self._clusters.discard(cluster)

    def take_backup(self, cluster: Cluster) -> Backup:
        """Real files of a running server, held once."""
        return self.backups.take(cluster, self.copier)

    def begin(self, name: str, work: Callable[[], None], failed: Callable[[str], None], gone: threading.Event | None = None) -> None:
        """Does something in the background. What goes wrong there is a mistake of the lab and counts as one, unless what it was for has gone."""

        def run() -> None:
            try:
                work()
            except Cancelled:
                pass
            except Exception as error:  # noqa: BLE001 - whatever it is, the test must learn of it
                if self.stopping.is_set() or gone is not None and gone.is_set():
                    return
                traceback.print_exc(file=sys.stderr)
                self.calls.not_implemented("lab", name, f"{type(error).__name__}: {error}")
                failed(str(error))

        threading.Thread(target=run, name=name, daemon=True).start()

    def wait(self, seconds: float, since: float, gone: threading.Event) -> None:
        """Waits until so many seconds have passed since then; ends early when what it is for has gone."""
        while True:
            if gone.is_set() or self.stopping.is_set():
                raise Cancelled()
            left = since + seconds - time.monotonic()
            if left <= 0:
                return
            gone.wait(min(left, 0.2))

    def stop(self) -> None:
        """Ends all servers; nothing starts any more."""
        self.stopping.set()
        with self.lock:
            clusters = list(self._clusters)
        threads = [threading.Thread(target=cluster.destroy) for cluster in clusters]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def _version(host: Host) -> str:
    said = subprocess.run([os.path.join(host.binaries, "postgres"), "--version"], capture_output=True, text=True, check=True).stdout
    return said.split()[2]
