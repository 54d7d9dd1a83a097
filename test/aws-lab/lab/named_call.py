"""What a request asks for, read from it before moto does."""

import io
import json
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

CREDENTIAL = re.compile(r"Credential=([^/]+)/\d{8}/([^/]+)/([^/]+)/aws4_request")
NAMES_SOMETHING = re.compile(r"(Identifier|Identifiers|Arn|Arns|Name|Names|Id|Ids|Url|ResourceName)$")
SECRET = re.compile(r"Password|Secret|Token|PreSigned", re.IGNORECASE)
MEMBER = re.compile(r"\.(?:[A-Za-z]+\.)?\d+$")


@dataclass
class NamedCall:
    """Service, action and who asks, as the signature and the body say it."""

    service: str
    action: str
    region: str
    access_key: str
    json_protocol: bool
    parameters: list[str] = field(default_factory=list)
    identifiers: dict[str, list[str]] = field(default_factory=dict)


def read(environ: dict[str, Any]) -> NamedCall:
    """Reads the request's body and puts it back."""
    length = int(environ.get("CONTENT_LENGTH") or 0)
    body = environ["wsgi.input"].read(length) if length else b""
    environ["wsgi.input"] = io.BytesIO(body)
    credential = CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", ""))
    access_key, region, service = credential.groups() if credential else ("", "", "")
    target = environ.get("HTTP_X_AMZ_TARGET", "")
    call = NamedCall(service, "", region, access_key, bool(target))
    if target:
        call.action = target.rsplit(".", maxsplit=1)[-1]
        _take(call, _flat(json.loads(body or b"{}")))
    else:
        pairs = parse_qsl(body.decode("utf-8", "replace") or environ.get("QUERY_STRING", ""), keep_blank_values=True)
        call.action = dict(pairs).get("Action", "")
        _take(call, [(MEMBER.sub("", name), value) for name, value in pairs if name not in ("Action", "Version")])
    return call


def _flat(value: dict[str, Any]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name, one in value.items():
        items = one if isinstance(one, list) else [one]
        found += [(name, item if isinstance(item, str) else "") for item in items]
    return found


def _take(call: NamedCall, pairs: list[tuple[str, str]]) -> None:
    for name, value in pairs:
        top = name.split(".", maxsplit=1)[0]
        if top not in call.parameters:
            call.parameters.append(top)
        if "." not in name and value and NAMES_SOMETHING.search(name) and not SECRET.search(name):
            call.identifiers.setdefault(name, []).append(value)
