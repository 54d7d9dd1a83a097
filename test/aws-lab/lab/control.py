"""The control API under /_lab/: JSON in, JSON out, for tests and not for what they test."""

import json
from typing import Any, Callable

from .core import Lab
from .services import OWN


class Control:
    """Answers one request at a time per thread."""

    def __init__(self, lab: Lab) -> None:
        self._routes: dict[str, Callable[[dict[str, Any]], Any]] = {
            "calls": lambda _: lab.calls.all(),
            "clear-calls": lambda _: lab.calls.clear(),
            "unimplemented": lambda _: lab.calls.unimplemented(),
            "durations": lab.settings.set_durations,
            "fault": lambda given: {"id": lab.faults.add(given)},
            "faults": lambda _: lab.faults.all(),
            "clear-faults": lambda given: lab.faults.remove(given.get("id")),
        }
        for name, service in OWN.items():
            for path, answer in service.routes(lab).items():
                self._routes[f"{name}/{path}"] = answer

    def answer(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        """As a WSGI application."""
        path = environ["PATH_INFO"].removeprefix("/_lab/")
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        status, value = "200 OK", None
        try:
            if path not in self._routes:
                raise ValueError(f"the lab has no control {path}")
            value = self._routes[path](json.loads(body or b"{}"))
        except Exception as error:  # noqa: BLE001 - the test that asked is told
            status, value = "400 Bad Request", {"error": f"{type(error).__name__}: {error}"}
        answer = json.dumps(value).encode()
        start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))])
        return [answer]
