"""`vitbench list [KIND]`: protocols, checkpoints, datasets, recipes. Imports no torch."""

import os
import sys
from pathlib import Path

from vitbench.errors import UnknownName
from vitbench.models.manifest import find_manifest, manifest_names
from vitbench.registry import GROUPS, Registry

KINDS = ("protocols", "scorers", "recipes", "checkpoints", "datasets")


def run(arguments: list[str]) -> int:
    """Print the names of each kind asked for, or of all kinds."""
    if arguments and arguments[0] in {"-h", "--help"}:
        print(f"usage: vitbench list [{'|'.join(KINDS)}]")
        return 0
    for kind in arguments or KINDS:
        if kind not in KINDS:
            raise UnknownName("list of", kind, KINDS)
        print(f"{kind}:")
        for text in _lines(kind):
            print(f"  {text}")
    return 0


def _lines(kind: str) -> list[str]:
    if kind == "checkpoints":
        manifests = [find_manifest(name) for name in manifest_names()]
        return [f"{m.name:24} {m.method:12} {m.arch:28} {m.license}" for m in manifests]
    if kind == "datasets":
        return ["synthetic                built in, drawn on first use", *_folders()]
    registry: Registry[object] = Registry(kind, GROUPS[kind], lambda found, _: found)
    for problem in registry.problems():
        print(f"warning: {problem}", file=sys.stderr)
    return [f"{claim.name:24} {claim.distribution}" for claim in registry.claims()]


def _folders() -> list[str]:
    base = os.environ.get("VITBENCH_DATA", "")
    if not base or not Path(base).is_dir():
        return []
    return [
        f"{path.name:24} under VITBENCH_DATA"
        for path in sorted(Path(base).iterdir())
        if path.is_dir()
    ]
