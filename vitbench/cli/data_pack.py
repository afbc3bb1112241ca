"""`vitbench data pack SOURCE OUT`: small copies of images as WebDataset shards."""

from dataclasses import dataclass
from pathlib import Path

from vitbench.cli.flags import parse
from vitbench.data.dataset import find_root
from vitbench.data.packing import Packing, pack_folder
from vitbench.settings import setting

ABOUT = """\
Write small copies of the images of a folder as WebDataset shards, for quick trainings: of train/
and val/ if the folder has them, else of all its images as training images.

example:
  vitbench data pack imagenet small/ --size 128"""


@dataclass(frozen=True, slots=True, kw_only=True)
class What:
    """The folder to pack, and the folder for the shards."""

    source: str = setting(help="folder of images, or the name of one under $VITBENCH_DATA")
    out: Path = setting(help="folder that the shards are written to")


def pack(arguments: list[str]) -> int:
    """Pack the images and print what was written."""
    what, packing = parse(
        {"source and target": What, "the copies": Packing},
        arguments,
        prog="vitbench data pack",
        description=ABOUT,
        positional=("source", "out"),
    )
    size = pack_folder(find_root(what.source), what.out, packing, log=print, callback=print)
    print(f"{size / 2**20:.1f} MB in {what.out}")
    return 0
