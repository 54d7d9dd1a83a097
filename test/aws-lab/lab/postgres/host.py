"""Where and as whom servers run."""

import os
import subprocess
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Host:
    """Binaries, user and folder for all servers of a lab."""

    binaries: str
    folder: str
    # Set when the lab runs as root, which PostgreSQL refuses.
    run_as: tuple[int, int] | None

    def identity(self) -> dict[str, Any]:
        """Arguments of subprocess that start something as the servers' user."""
        if self.run_as is None:
            return {}
        uid, gid = self.run_as
        return {"user": uid, "group": gid, "extra_groups": []}

    def own(self, path: str) -> None:
        """Gives a file or directory to the servers' user."""
        if self.run_as is not None:
            os.lchown(path, *self.run_as)

    def make_directory(self, path: str, mode: int = 0o700) -> str:
        """Makes a directory that only the servers' user may enter."""
        os.mkdir(path, mode)
        os.chmod(path, mode)
        self.own(path)
        return path

    def write(self, path: str, text: str) -> None:
        """Writes a file of the servers' user."""
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, 0o600)
        self.own(path)

    def run(self, program: str, *arguments: str) -> None:
        """Runs one of the binaries to its end; what it printed is in the error when it fails."""
        command = [os.path.join(self.binaries, program), *arguments]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False, **self.identity())
        if done.returncode != 0:
            raise RuntimeError(f"{program} failed with {done.returncode}: {done.stderr.strip()[-2000:]}")
