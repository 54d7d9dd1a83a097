"""What a backend looked like at earlier times, for reads that are eventually consistent."""

import copy
from collections import OrderedDict
from datetime import datetime, timedelta
from typing import Any

from moto.core.utils import utcnow
from moto.rds.models import DBInstance, DBParameterGroup, DBSnapshot, DBSubnetGroup

KEPT = timedelta(minutes=15)
MAPS = {DBInstance: "databases", DBSnapshot: "database_snapshots", DBParameterGroup: "db_parameter_groups", DBSubnetGroup: "subnet_groups"}


class Journal:
    """Remembers every state; used under the lab's lock."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        self._states: list[tuple[datetime, dict[str, Any]]] = []

    def remember(self) -> None:
        """To be called after each change."""
        now = utcnow()
        self._states = [one for one in self._states[:-1] if one[0] > now - KEPT] + self._states[-1:]
        self._states.append((now, self._copy()))

    def view(self, age_seconds: float) -> Any:
        """The backend as it was so long ago; to be read only."""
        moment = utcnow() - timedelta(seconds=age_seconds)
        before = [state for at, state in self._states if at <= moment]
        state = before[-1] if before else {name: _like(getattr(self._backend, name), []) for name in (*MAPS.values(), "events")}
        view = copy.copy(self._backend)
        view.resource_map = dict(self._backend.resource_map)
        for resource, name in MAPS.items():
            view.resource_map[resource] = state[name]
        for name, value in state.items():
            setattr(view, name, value)
        for name in MAPS.values():
            for one in state[name].values():
                # What one of them names must be looked up where it was then: it may be gone by now.
                one.backend = view
        for instance in view.databases.values():
            instance.as_of = moment
        return view

    def _copy(self) -> dict[str, Any]:
        state: dict[str, Any] = {"events": list(self._backend.events)}
        for name in MAPS.values():
            state[name] = _like(getattr(self._backend, name), [(key, _frozen(value)) for key, value in getattr(self._backend, name).items()])
        return state


def _like(model: Any, items: list[Any]) -> Any:
    if isinstance(model, list):
        return list(items)
    made = type(model)() if not isinstance(model, OrderedDict) else OrderedDict()
    for key, value in items:
        made[key] = value
    return made


def _frozen(value: Any) -> Any:
    frozen = copy.copy(value)
    for name in ("attributes", "parameters", "pending_modified_values"):
        if hasattr(frozen, name):
            setattr(frozen, name, copy.deepcopy(getattr(frozen, name)))
    return frozen
