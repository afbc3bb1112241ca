"""Re-exported names that are imported when they are used, not before."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def importer(module: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """Return the `__getattr__` of a module that re-exports names.

    Args:
        module: Name of the module that re-exports.
        homes: The module that each re-exported name is imported from. An empty attribute, as in
            `errors` -> `vitbench.errors:`, stands for the module itself.

    Raises:
        AttributeError: By the function that is returned, for any other name.
    """

    def find(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        home, colon, attribute = homes[name].partition(":")
        found = import_module(home)
        return found if colon and not attribute else getattr(found, attribute or name)

    return find
