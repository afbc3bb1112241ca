"""For tests that put a distribution beside the installed ones."""

from typing import Any

from vitbench.registry import Registry, installed


def forget(components: Registry[Any]) -> None:
    """Let a registry look again at what is installed, as it does in a new process."""
    installed.cache_clear()
    components.__dict__.pop("_entries", None)
