"""The user's cache folder: built-in data, downloads, features; all of it can be made again."""

import os
from pathlib import Path

CACHE_VARIABLE = "VITBENCH_CACHE"


def cache_root() -> Path:
    """Return `$VITBENCH_CACHE`, else `vitbench` in the XDG cache folder. It may not exist yet."""
    own = os.environ.get(CACHE_VARIABLE)
    if own:
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vitbench"
