"""`vitbench data VERB`: data sets by name, and small copies of images."""

from collections.abc import Callable, Mapping
from importlib import import_module

from vitbench.errors import UnknownName

VERBS: Mapping[str, tuple[str, str]] = {  # module and what the verb does
    "list": ("data_sets", "list the published sets: kind, size to download, license"),
    "get": ("data_sets", "download a published set, and put it where readers look"),
    "check": ("data_sets", "compare a folder with the published set: counts, sizes, names"),
    "layout": ("data_sets", "print the folders and files that a set or a kind of data has"),
    "convert": ("data_convert", "write nyuv2, which is a MATLAB file, as images"),
    "pack": ("data_pack", "write small copies of images as WebDataset shards"),
}
EXAMPLES = """\
  vitbench data get davis
  vitbench data check coco
  vitbench data layout semantic
  vitbench data pack imagenet small/ --size 128"""


def usage() -> str:
    """Return the help of the command."""
    verbs = "\n".join(f"  {name:<8}{about}" for name, (_, about) in VERBS.items())
    return (
        f"usage: vitbench data VERB …\n\n{verbs}\n\nexamples:\n{EXAMPLES}\n\n"
        "Sets lie under the folder that VITBENCH_DATA names; --help of a verb lists its flags."
    )


def run(arguments: list[str]) -> int:
    """Run one verb."""
    if not arguments or arguments[0] in {"-h", "--help"}:
        print(usage())
        return 0 if arguments else 2
    verb = arguments[0]
    if verb not in VERBS:
        raise UnknownName("data command", verb, VERBS, hint="vitbench data --help")
    module = import_module(f"vitbench.cli.{VERBS[verb][0]}")
    act: Callable[[list[str]], int] = getattr(module, verb if verb != "list" else "list_sets")
    return act(arguments[1:])
