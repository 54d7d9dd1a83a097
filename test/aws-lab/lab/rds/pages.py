"""Lists in pages, with markers that a client cannot read."""

import base64
from typing import Any

from moto.core.responses import ActionResult

from .refusals import refuse


def page(result: str, items: list[Any], params: Any) -> ActionResult:
    """The page that a request asks for: of 100 unless it says otherwise, from 20 on. moto's own pages fail on most lists of RDS."""
    size = int(params.get("MaxRecords") or 100)
    if not 20 <= size <= 100:
        raise refuse("InvalidParameterValue", f"Invalid value {size} for MaxRecords. Must be between 20 and 100.")
    marker = params.get("Marker")
    try:
        start = int(base64.b64decode(marker)) if marker else 0
    except ValueError:
        raise refuse("InvalidParameterValue", "Invalid or expired pagination token.") from None
    end = start + size
    return ActionResult({result: items[start:end], "Marker": base64.b64encode(str(end).encode()).decode() if end < len(items) else None})
