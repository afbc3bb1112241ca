"""`vitbench export FORMAT CHECKPOINT`: write a run or checkpoint in a method's own layout."""

from dataclasses import dataclass
from pathlib import Path

from vitbench.cli.flags import parse
from vitbench.settings import setting
from vitbench.training.export import LAYOUTS, export


@dataclass(frozen=True, slots=True, kw_only=True)
class What:
    """What to write, and where."""

    checkpoint: str = setting(help="a run's folder, or any checkpoint that eval knows")
    out: Path | None = setting(None, help="file to write; left out: NAME-FORMAT.pth")


def run(arguments: list[str]) -> int:
    """Write the file and print its path."""
    if not arguments or arguments[0].startswith("-"):
        print("usage: vitbench export FORMAT CHECKPOINT [--out FILE]\n")
        for name, layout in LAYOUTS.items():
            print(f"  {name:12} {layout.about}")
        return 0 if arguments and arguments[0] in {"-h", "--help"} else 2
    (what,) = parse(
        (What,),
        arguments[1:],
        prog=f"vitbench export {arguments[0]}",
        description="Write a run or checkpoint in a method's own layout.",
        positional=("checkpoint",),
    )
    out = what.out or Path(f"{Path(what.checkpoint).name}-{arguments[0]}.pth")
    print(export(what.checkpoint, arguments[0], out))
    return 0
