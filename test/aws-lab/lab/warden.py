"""Cleans up after a lab that was killed: a process of its own, which reads a pipe that only the lab holds open.

Started as `python warden.py FOLDER`. When the pipe ends, it ends every PostgreSQL server whose data directory lies in
the folder and removes the folder. After a lab that ended in order it finds nothing to do.
"""

import glob
import os
import shutil
import signal
import sys
import time


def servers(folder: str) -> list[int]:
    """Process ids of the servers that say in their own lock file that they run in the folder."""
    found = []
    for path in glob.glob(os.path.join(folder, "*", "*", "data", "postmaster.pid")):
        try:
            with open(path, encoding="utf-8") as file:
                lines = file.read().splitlines()
            # Its second line is the data directory: a process id alone may be somebody else's by now.
            if lines[1] == os.path.dirname(path):
                os.kill(int(lines[0]), 0)
                found.append(int(lines[0]))
        except (OSError, ValueError, IndexError):
            continue
    return found


def main() -> None:
    """Waits until the lab has gone, then leaves nothing of it behind."""
    folder = sys.argv[1]
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    while os.read(0, 1024):
        pass
    for force in (signal.SIGQUIT, signal.SIGKILL):
        deadline = time.monotonic() + 5
        while os.path.isdir(folder) and time.monotonic() < deadline:
            left = servers(folder)
            if not left:
                break
            for pid in left:
                os.kill(pid, force)
            time.sleep(0.1)
    # A server that was starting may still write: once more when it noticed that its directory has gone.
    for _ in range(20):
        shutil.rmtree(folder, ignore_errors=True)
        if not os.path.isdir(folder):
            return
        time.sleep(0.1)


if __name__ == "__main__":
    main()
