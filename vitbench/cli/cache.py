"""`vitbench cache ls|clear`: list or remove the files that are kept to save time."""

from collections.abc import Sequence
from dataclasses import dataclass

from vitbench.cache import cache_root
from vitbench.cli.confirm import confirm
from vitbench.cli.flags import parse
from vitbench.engine.cached import ALL, PARTS, Entry, choose, entries, remove
from vitbench.errors import SettingError, UnknownName
from vitbench.settings import setting

VERBS = ("ls", "clear")
USAGE = f"""usage: vitbench cache ls
       vitbench cache clear WHAT… [--yes]

List or remove the files that are kept to save time; every one of them can be made again.

  ls     list the feature stores, then the size of each part of the cache
  clear  remove parts of the cache, after a question

WHAT is one of {", ".join([*PARTS, ALL])}; the key of a feature store; or the name of a data set,
for the feature stores of its images."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Which parts of the cache to remove."""

    what: tuple[str, ...] = setting(
        (),
        help=f"parts of the cache to remove: {', '.join(PARTS)} or {ALL}; the key of a feature"
        " store; or the name of a data set, for its feature stores",
    )
    yes: bool = setting(False, help="remove without asking first")


def run(arguments: list[str]) -> int:
    """List the cache, or remove the chosen parts of it."""
    if not arguments or arguments[0] in {"-h", "--help"}:
        print(f"{USAGE}\n\nThe cache is {cache_root()}")
        return 0 if arguments else 2
    if arguments[0] not in VERBS:
        raise UnknownName("cache command", arguments[0], VERBS)
    if arguments[0] == "ls":
        return _list()
    (options,) = parse(
        {"flags": Options},
        arguments[1:],
        prog="vitbench cache clear",
        description="Remove cached files; every one of them can be made again.",
        positional=("what",),
    )
    return _clear(options)


def _list() -> int:
    kept = list(entries())
    for entry in kept:
        if entry.part == "features":
            print(_line(entry))
    for part in PARTS:
        own = [entry for entry in kept if entry.part == part]
        print(f"{part:12}  {_size(own)}  {len(own):,} entries")
    print(f"{_size(kept).strip()} in {cache_root()}")
    return 0


def _clear(options: Options) -> int:
    if not options.what:
        raise SettingError(
            ["what to remove is not said"], hint="vitbench cache clear features, or vitbench cache"
        )
    chosen = choose(options.what)
    if not chosen:
        print(f"nothing of {', '.join(options.what)} is kept in {cache_root()}")
        return 0
    lines = [_line(entry) for entry in chosen]
    question = f"Remove these {len(chosen):,} entries, {_size(chosen).strip()}?"
    if not confirm(lines, question, yes=options.yes):
        print("nothing was removed")
        return 0
    used = [entry for entry in chosen if not remove(entry)]
    for entry in used:
        print(f"kept, in use by a run: {entry.part} {entry.key[:12]}")
    gone = [entry for entry in chosen if entry not in used]
    print(f"removed {len(gone):,} entries, {_size(gone).strip()}, from {cache_root()}")
    return 0


def _line(entry: Entry) -> str:
    facts = f"{entry.dataset:28} {entry.arch}" if entry.part == "features" else entry.part
    return f"{entry.key[:12]:12}  {_size([entry])}  {facts}"


def _size(found: Sequence[Entry]) -> str:
    return f"{sum(entry.size_bytes for entry in found) / 2**20:8.1f} MB"
