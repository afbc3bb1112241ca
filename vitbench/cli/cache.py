"""`vitbench cache ls|clear`: the features that are kept for reuse."""

from vitbench.cache import cache_root
from vitbench.engine.features import clear, stores
from vitbench.errors import UnknownName

VERBS = ("ls", "clear")


def run(arguments: list[str]) -> int:
    """List what is kept, or remove it."""
    if not arguments or arguments[0] in {"-h", "--help"}:
        print(f"usage: vitbench cache ls|clear\n\nThe cache is {cache_root()}")
        return 0 if arguments else 2
    if arguments[0] not in VERBS:
        raise UnknownName("cache command", arguments[0], VERBS)
    if arguments[0] == "clear":
        print(f"removed {clear()} feature stores from {cache_root()}")
        return 0
    total = 0
    for store in stores():
        total += store.size_bytes
        size = f"{store.size_bytes / 2**20:8.1f} MB"
        print(f"{store.key[:12]}  {size}  {store.dataset:28} {store.arch}")
    print(f"{total / 2**20:.1f} MB in {cache_root() / 'features'}")
    return 0
