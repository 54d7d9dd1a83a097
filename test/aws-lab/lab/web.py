"""The wrapper around moto: names each call, lets faults strike, keeps the log."""

import json
import re
import socket
import sys
import time
import traceback
from typing import Any, Callable
from xml.sax.saxutils import escape

from moto.iam.models import get_account_id_from
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from . import context, named_call
from .calls import Call, timestamp
from .control import Control
from .core import Lab
from .iam import gate
from .named_call import NamedCall
from .services import OWN, known

CODE = re.compile(rb"<Code>([^<]+)</Code>")
PHRASES = {200: "OK", 400: "Bad Request", 403: "Forbidden", 404: "Not Found", 500: "Internal Server Error", 503: "Service Unavailable"}


class Wrapper:
    """The WSGI application of the lab."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        for service in OWN.values():
            service.install(lab)
        self._control = Control(lab)
        self._moto = DomainDispatcherApplication(create_backend_app)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        """Answers one request."""
        if environ["PATH_INFO"].startswith("/_lab/"):
            return self._control.answer(environ, start_response)
        asked = named_call.read(environ)
        met = self._lab.faults.strike(asked.service, asked.action)
        call = self._lab.calls.add(Call(
            asked.service, asked.action, asked.region, get_account_id_from(asked.access_key), timestamp(), asked.identifiers, asked.parameters, faults=[fault.kind for fault in met],
        ))
        began = time.monotonic()
        by_kind = {fault.kind: fault for fault in met}
        if "slow" in by_kind:
            self._lab.stopping.wait(by_kind["slow"].seconds)
        if "denied" in by_kind:
            status, headers, body = _refusal(asked, 400 if asked.json_protocol else 403, "AccessDeniedException" if asked.json_protocol else "AccessDenied", f"User is not authorized to perform: {asked.service}:{asked.action}")
        elif "throttle" in by_kind:
            status, headers, body = _refusal(asked, 400, "ThrottlingException" if asked.json_protocol else "Throttling", "Rate exceeded")
        elif "serverError" in by_kind:
            status, headers, body = _refusal(asked, 503, "ServiceUnavailable", "The service is unavailable. Please try again shortly.")
        else:
            context.set_stale_seconds(by_kind["staleReads"].seconds if "staleReads" in by_kind else 0)
            status, headers, body = self._ask_moto(asked, environ)
        call.milliseconds = int((time.monotonic() - began) * 1000)
        if "lostReply" in by_kind:
            call.status, call.errorCode = 0, _code(status, headers, body)
            _drop(environ)
        call.status, call.errorCode = status, _code(status, headers, body)
        start_response(f"{status} {PHRASES.get(status, 'Status')}", [*[one for one in headers if one[0].lower() != "content-length"], ("Content-Length", str(len(body)))])
        return [body]

    def _ask_moto(self, asked: NamedCall, environ: dict[str, Any]) -> tuple[int, list[tuple[str, str]], bytes]:
        if not known(asked.service):
            return self._not_implemented(asked, "the lab does not have this service")
        try:
            refused = gate.refusal(self._lab, asked, environ)
        except NotImplementedError as error:
            return self._not_implemented(asked, str(error))
        if refused:
            return _refusal(asked, *refused)
        answered: list[Any] = []

        def start(status: str, headers: list[tuple[str, str]], *_: Any) -> None:
            answered[:] = [int(status.split()[0]), headers]

        try:
            body = b"".join(self._moto(environ, start))
        except NotImplementedError as error:
            return self._not_implemented(asked, str(error) or "moto does not implement it")
        except Exception as error:  # noqa: BLE001 - moto has no bounds on what it raises
            traceback.print_exc(file=sys.stderr)
            return self._not_implemented(asked, f"{type(error).__name__}: {error}")
        status, headers = answered
        kind = dict((name.lower(), value) for name, value in headers).get("content-type", "")
        if status >= 500 or status >= 400 and "html" in kind and not body.lstrip().startswith((b"<?xml", b"<Err", b"<Resp", b"{")):
            return self._not_implemented(asked, f"moto answered {status}")
        return status, headers, body

    def _not_implemented(self, asked: NamedCall, detail: str) -> tuple[int, list[tuple[str, str]], bytes]:
        self._lab.calls.not_implemented(asked.service, asked.action, detail)
        # Not 5xx, which a client would try again.
        return _refusal(asked, 400, "LabNotImplemented", f"The AWS lab cannot do this: {detail}")


def _refusal(asked: NamedCall, status: int, code: str, message: str) -> tuple[int, list[tuple[str, str]], bytes]:
    if asked.json_protocol:
        return status, [("Content-Type", "application/x-amz-json-1.0")], json.dumps({"__type": code, "message": message}).encode()
    kind = "Sender" if status < 500 else "Receiver"
    error = f"<Error><Type>{kind}</Type><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
    if asked.service == "ec2":
        body = f"<Response><Errors>{error}</Errors><RequestID>lab</RequestID></Response>"
    else:
        body = f"<ErrorResponse>{error}<RequestId>lab</RequestId></ErrorResponse>"
    return status, [("Content-Type", "text/xml")], body.encode()


def _code(status: int, headers: list[tuple[str, str]], body: bytes) -> str | None:
    if status < 400:
        return None
    found = CODE.search(body)
    if found:
        return found.group(1).decode()
    try:
        return str(json.loads(body).get("__type", "")).rsplit("#", maxsplit=1)[-1] or None
    except ValueError:
        return None


def _drop(environ: dict[str, Any]) -> None:
    """Ends the connection without an answer: the client cannot know whether its request was heeded."""
    connection: socket.socket = environ["werkzeug.socket"]
    connection.shutdown(socket.SHUT_RDWR)
    raise ConnectionAbortedError("the reply is lost on purpose")
