"""Names of architectures, without building any network or importing torch."""

import re
from fnmatch import fnmatch
from importlib.util import find_spec
from pathlib import Path

from vitbench.models.constants import SWIN_SIZES, VIT_SIZES

ENTRY = re.compile(r"^@register_model\s*\ndef (\w+)\(", re.MULTILINE)


def own_names() -> tuple[str, ...]:
    """Return the forms of names that need no timm; any patch and image size can be put in."""
    vits = (f"vit_{size}_patch16_224" for size in VIT_SIZES)
    return (*vits, *(f"swin_{size}_patch4_window7_224" for size in SWIN_SIZES))


def timm_names() -> tuple[str, ...]:
    """Return the name of every network in the installed timm, sorted.

    They are read from timm's source files, which takes a tenth of a second; importing timm takes
    ten seconds.
    """
    spec = find_spec("timm")
    if spec is None or spec.origin is None:
        return ()
    files = sorted((Path(spec.origin).parent / "models").glob("*.py"))
    return tuple(
        sorted({name for file in files for name in ENTRY.findall(file.read_text("utf-8"))})
    )


def matching(names: tuple[str, ...], pattern: str) -> list[str]:
    """Return the names that a shell pattern matches, or that hold a word without wildcards."""
    wanted = pattern if any(sign in pattern for sign in "*?[") else f"*{pattern}*"
    return [name for name in names if fnmatch(name, wanted)]
