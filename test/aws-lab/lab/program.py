"""Starts the lab, says where it is, and ends it with whoever started it."""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import threading

from . import warden

# Before moto is imported: it reads some of these then. Nothing of this machine's own AWS account may be used.
os.environ.update({"MOTO_ALLOW_NONEXISTENT_REGION": "false", "AWS_EC2_METADATA_DISABLED": "true"})


def main() -> None:
    """Runs until standard input ends or a signal comes, then removes its folder."""
    options = _options()
    watch = subprocess.Popen([sys.executable, "-I", warden.__file__, options.directory], stdin=subprocess.PIPE, start_new_session=True)
    ended = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, lambda *_: ended.set())
    threading.Thread(target=_read_to_end, args=(ended,), daemon=True).start()
    # The rest is slow to import: whoever ends us meanwhile is heard.
    from . import once

    once.install()
    from werkzeug.serving import make_server
    from moto.moto_server.werkzeug_app import MotoRequestHandler

    from .core import Lab
    from .postgres.host import Host
    from .web import Wrapper

    class Quiet(MotoRequestHandler):
        """The log of calls says more."""

        def log_request(self, *_: object) -> None:
            """Nothing."""

    run_as = tuple(int(part) for part in options.run_as.split(":")) if options.run_as else None
    lab = Lab(Host(options.postgres_bin, options.directory, run_as))  # type: ignore[arg-type]
    server = make_server("127.0.0.1", options.port, Wrapper(lab), threaded=True, request_handler=Quiet)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
    print(json.dumps({"ready": True, "port": server.server_port, "pid": os.getpid(), "postgres": lab.postgres_version}), flush=True)
    ended.wait()
    server.shutdown()
    lab.stop()
    _remove(options.directory)
    watch.stdin.close()  # type: ignore[union-attr]
    watch.wait(10)
    os._exit(0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="aws-lab", description="A stand-in for AWS, for tests.")
    parser.add_argument("--directory", required=True, help="an empty folder for everything; removed at the end")
    parser.add_argument("--postgres-bin", required=True, help="holds postgres and initdb")
    parser.add_argument("--run-as", help="uid:gid of the servers, when the lab runs as root")
    parser.add_argument("--port", type=int, default=0, help="on 127.0.0.1; a free one by default")
    return parser.parse_args()


def _read_to_end(ended: threading.Event) -> None:
    """Whoever started us holds the other end of the pipe: it ends with them, however they end."""
    while os.read(0, 4096):
        pass
    ended.set()


def _remove(folder: str) -> None:
    for _ in range(20):
        shutil.rmtree(folder, ignore_errors=True)
        if not os.path.isdir(folder):
            return
        threading.Event().wait(0.1)
