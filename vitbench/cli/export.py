"""`vitbench export FORMAT CHECKPOINT`: write a checkpoint in the layout of another code base."""

from dataclasses import dataclass
from pathlib import Path

from vitbench.cli.flags import parse
from vitbench.errors import UnknownName
from vitbench.models.export_openmmlab import TOOLBOXES, write_for_openmmlab
from vitbench.settings import setting
from vitbench.training.export import LAYOUTS, export, find_layout


@dataclass(frozen=True, slots=True, kw_only=True)
class What:
    """The checkpoint to write, and the file to write it to."""

    checkpoint: str = setting(help="folder of a training run, or any checkpoint that eval takes")
    out: Path | None = setting(None, help="file to write; left out: NAME-FORMAT.pth")


def run(arguments: list[str]) -> int:
    """Write the file and print its path."""
    if not arguments or arguments[0].startswith("-"):
        print(
            "usage: vitbench export FORMAT CHECKPOINT [--out FILE]\n\n"
            "Write a checkpoint in the file layout of another code base.\n\nformats:"
        )
        abouts = {name: layout.about for name, layout in LAYOUTS.items()}
        abouts |= {name: toolbox.about for name, toolbox in TOOLBOXES.items()}
        for name, about in abouts.items():
            print(f"  {name:12} {about}")
        print("\nexample:\n  vitbench export dino runs/mine --out dino.pth")
        return 0 if arguments and arguments[0] in {"-h", "--help"} else 2
    if find_layout(arguments[0]) is None and arguments[0] not in TOOLBOXES:
        raise UnknownName("format", arguments[0], [*LAYOUTS, *TOOLBOXES])
    (what,) = parse(
        {"flags": What},
        arguments[1:],
        prog=f"vitbench export {arguments[0]}",
        description=f"Write a checkpoint as {_about(arguments[0])}.",
        positional=("checkpoint",),
    )
    out = what.out or Path(f"{Path(what.checkpoint).name}-{arguments[0]}.pth")
    if arguments[0] in TOOLBOXES:
        print(*write_for_openmmlab(what.checkpoint, arguments[0], out), sep="\n")
    else:
        print(export(what.checkpoint, arguments[0], out))
    return 0


def _about(name: str) -> str:
    layout = find_layout(name)
    return TOOLBOXES[name].about if layout is None else layout.about
