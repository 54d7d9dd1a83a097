"""One PostgreSQL server with its data directory."""

import os
import signal
import socket
import subprocess
import threading
import time
from contextlib import contextmanager
from typing import Iterator, Mapping

from pg8000.native import Connection, DatabaseError, InterfaceError

from .host import Host
from .roles import ADMIN, HOST_BASED_ACCESS

# One machine may be busy with other tests.
START_SECONDS = 60.0
STOP_SECONDS = 20.0


def free_port() -> int:
    """A TCP port on the loopback interface that nobody uses at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Cluster:
    """A server of the lab. Methods may be called from any thread, but not several at once."""

    def __init__(self, host: Host, directory: str) -> None:
        self.host = host
        self.directory = directory
        self.data = os.path.join(directory, "data")
        self.archive = os.path.join(directory, "archive")
        self.port = free_port()
        self._log = os.path.join(directory, "log")
        self._socket = os.path.join(directory, "s")
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._destroyed = False
        host.make_directory(directory)
        host.make_directory(self._socket)
        host.write(os.path.join(directory, "pg_hba.conf"), HOST_BASED_ACCESS)

    def initialise(self) -> None:
        """Makes a new, empty data directory whose superuser is rdsadmin."""
        # Segments of a megabyte: an archive of those is cheap to keep and to read again.
        self.host.run("initdb", "-D", self.data, "-U", ADMIN, "--auth=reject", "--no-sync", "--no-instructions", "-E", "UTF8", "--locale=C.UTF-8", "--wal-segsize=1")

    def keep_archive(self, kept: bool) -> None:
        """From now on WAL goes to the archive directory, or nowhere."""
        if kept and not os.path.isdir(self.archive):
            self.host.make_directory(self.archive)

    def start(self, settings: Mapping[str, str]) -> None:
        """Starts the server and waits until it takes connections, which is after a recovery that is to be promoted."""
        for attempt in range(3):
            self._spawn(settings)
            try:
                self._await_connections()
                return
            except RuntimeError as error:
                if "Address already in use" not in str(error) or attempt == 2:
                    raise
                self.port = free_port()

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Ends the server: SIGINT in order, SIGQUIT at once. Safe to call when it has gone."""
        process = self._process
        if process is None:
            return
        for sent in (how, signal.SIGQUIT, signal.SIGKILL):
            if process.poll() is not None:
                break
            process.send_signal(sent)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                continue
        self._process = None

    def destroy(self) -> None:
        """Ends it at once and for good: who is about to start it fails."""
        with self._lock:
            self._destroyed = True
        self.stop(signal.SIGQUIT)

    @contextmanager
    def admin(self, database: str = "postgres") -> Iterator[Connection]:
        """A connection as rdsadmin, closed afterwards."""
        # Over its socket: to offer TLS, the driver would read all certificates of this machine each time.
        connection = Connection(ADMIN, database=database, unix_sock=os.path.join(self._socket, f".s.PGSQL.{self.port}"), application_name="rdsadmin", timeout=30, ssl_context=False)
        try:
            yield connection
        finally:
            try:
                connection.close()
            except (InterfaceError, OSError):
                pass  # The server has gone first.

    @property
    def pid(self) -> int | None:
        """Of the running server."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def log(self) -> str:
        """The last of what the server printed."""
        try:
            with open(self._log, encoding="utf-8", errors="replace") as file:
                return file.read()[-4000:]
        except FileNotFoundError:
            return ""

    def _spawn(self, settings: Mapping[str, str]) -> None:
        command = (
            f'test -d "{self.archive}" || exit 0; test -f "{self.archive}/%f.gz" || '
            f'{{ gzip -1 -c "%p" > "{self.archive}/%f.tmp" && mv "{self.archive}/%f.tmp" "{self.archive}/%f.gz"; }}'
        )
        fixed = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": self._socket,
            "hba_file": os.path.join(self.directory, "pg_hba.conf"),
            "archive_mode": "on",
            "archive_command": command,
            # Nothing here outlives the machine.
            "fsync": "off",
            "logging_collector": "off",
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        arguments = [part for name, value in {**settings, **fixed}.items() for part in ("-c", f"{name}={value}")]
        if os.path.exists(self._log):
            os.unlink(self._log)
        with open(self._log, "ab") as log, self._lock:
            if self._destroyed:
                raise RuntimeError("the server was destroyed before it started")
            self._process = subprocess.Popen(
                [os.path.join(self.host.binaries, "postgres"), "-D", self.data, *arguments],
                cwd=self.directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, **self.host.identity(),
            )

    def _await_connections(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                raise RuntimeError(f"PostgreSQL ended at its start: {self.log()}")
            try:
                with self.admin() as connection:
                    if connection.run("SELECT pg_is_in_recovery()") == [[False]]:
                        return
            except (InterfaceError, DatabaseError, OSError):
                pass
            time.sleep(0.02)
        self.stop(signal.SIGQUIT)
        raise RuntimeError(f"PostgreSQL did not get ready within {START_SECONDS:.0f} s: {self.log()}")
