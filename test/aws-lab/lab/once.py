"""What botocore and moto work out anew each time and what never changes: a third of what the lab takes of the processor."""

import functools

from botocore.loaders import JSONFileLoader
from moto import backends


def install() -> None:
    """Has each of it worked out once in this process."""
    # Each of moto's backends opens a session of its own to learn of regions, and reads megabytes for that.
    JSONFileLoader.load_file = _once(JSONFileLoader.load_file)  # type: ignore[method-assign]
    # Lists a directory with each request.
    modules = frozenset(backends.list_of_moto_modules())
    backends.list_of_moto_modules = lambda: modules  # type: ignore[assignment]


def _once(load: object) -> object:
    kept = functools.cache(lambda path: load(JSONFileLoader(), path))  # type: ignore[operator]
    return lambda _self, path: kept(path)
