"""`vitbench list [KIND [PATTERN]]`: components, data, architectures, printed rows; no torch."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitbench.engine.describe import Command, describe
from vitbench.engine.protocol import protocols, scorers
from vitbench.errors import UnknownName, VitbenchError
from vitbench.models.architecture_names import matching, own_names, timm_names
from vitbench.registry import BUNDLED, GROUPS, PluginEntry, Registry

if TYPE_CHECKING:  # what lists one kind imports what that kind needs
    from vitbench.records import Record

KINDS = {
    "protocols": "what each protocol measures, its data and its presets",
    "scorers": "what can be scored without a checkpoint",
    "backbones": "networks that plug-ins bring",
    "readers": "kinds of data and the folder layouts of each",
    "recipes": "trainings",
    "checkpoints": "published weight files that are downloaded by name",
    "studies": "tables of trainings and evaluations that one command fills",
    "architectures": "names for --arch; PATTERN is a part of the name, or has * and ?",
    "datasets": "folders under $VITBENCH_DATA: kind, size, and whether the set is whole",
    "published": "printed scores that reports can show",
}
USAGE = "usage: vitbench list [KIND…]\n       vitbench list architectures [PATTERN]\n\nkinds:\n"
PATTERNED = "architectures"  # the kind whose names are so many that they are listed alone


def run(arguments: list[str]) -> int:
    """Print the names of each kind asked for, or of all kinds but the architectures."""
    if arguments and arguments[0] in {"-h", "--help"}:
        print(USAGE + "\n".join(f"  {name:14} {about}" for name, about in KINDS.items()))
        return 0
    if arguments and arguments[0] == PATTERNED:
        return _architectures(arguments[1:])
    for kind in arguments or KINDS:
        if kind not in KINDS:
            raise UnknownName("list of", kind, KINDS)
        print(f"{kind}:")
        for text in _LINES[kind]():
            print(f"  {text}")
    return 0


def _architectures(patterns: Sequence[str]) -> int:
    """Print the names that match any of the patterns, ours first."""
    wanted = patterns or ("*",)
    for title, names in (("of vitbench", own_names()), ("of timm", timm_names())):
        found = dict.fromkeys(name for pattern in wanted for name in matching(names, pattern))
        print(f"{title}, {len(found):,} of {len(names):,} names:")
        for name in found:
            print(f"  {name}")
    print("vit_SIZE_patchP_PX and swin_SIZE_patchP_windowW_PX of vitbench take any P, W and PX.")
    return 0


def _components(command: Command, registry: Registry[Any]) -> Iterator[str]:
    """Say what each protocol or scorer measures, its data and presets; a broken one is named."""
    _warn(registry)
    for entry in registry.entries():
        try:
            told = describe(registry.get(entry.name), command)
        except VitbenchError as error:
            print(f"warning: {error}", file=sys.stderr)
            continue
        usual = f", {told.usual} if --data is left out" if told.usual else ""
        yield f"{entry.name:15} {told.summary}{_origin(entry)}"
        yield f"{'':15} reports {told.reports}"
        yield f"{'':15} data    {told.kind}{usual}"
        if told.presets:
            yield f"{'':15} presets {', '.join(told.presets)}"


def _readers() -> Iterator[str]:
    from vitbench.data.dataset import readers

    _warn(readers)
    for entry in readers.entries():
        yield f"{entry.name:15} {entry.distribution}"
        yield from (f"{'':15} {layout}" for layout in readers.get(entry.name).layout)


def _named(kind: str) -> Iterator[str]:
    """Name the components of a kind with the distribution that brings each."""
    registry: Registry[object] = Registry(kind, GROUPS[kind], lambda found, _: found)
    _warn(registry)
    yield from (f"{entry.name:24} {entry.distribution}" for entry in registry.entries())


def _studies() -> Iterator[str]:
    from vitbench.studies.catalog import find_study, study_names

    for name in study_names():
        study = find_study(name)
        yield f"{name:15} {study.title}: {len(study.trainings)} trainings, {len(study.cells)} cells"


def _checkpoints() -> Iterator[str]:
    from vitbench.models.manifest import find_manifest, manifest_names

    for manifest in map(find_manifest, manifest_names()):
        facts = f"{manifest.method:12} {manifest.arch:28} {manifest.license}"
        yield f"{manifest.name:24} {facts}"


def _architecture_counts() -> Iterator[str]:
    yield f"{len(own_names())} forms of vitbench, {len(timm_names()):,} names of timm:"
    yield "vitbench list architectures PATTERN"


def _origin(entry: PluginEntry) -> str:
    return "" if entry.distribution == BUNDLED else f" (from {entry.distribution})"


def _warn(registry: Registry[Any]) -> None:
    for problem in registry.problems():
        print(f"warning: {problem}", file=sys.stderr)


def _printed_rows() -> Iterator[str]:
    """Say of each row that others printed its id, name, place, and scores."""
    from vitbench.reports.published import published_records, row_id

    rows: dict[str, list[Record]] = {}
    for record in published_records():
        rows.setdefault(row_id(record), []).append(record)
    width = max(map(len, rows))
    for name, records in rows.items():
        yield f"{name:{width}}  {_scores(records)}  {records[0].subject.name}"


def _scores(records: "Sequence[Record]") -> str:
    """Write the leading score of each protocol of a row."""
    leading = [(record.protocol.name, record.primary()) for record in records]
    return ", ".join(
        f"{name} {score.label} {score.value:g}"
        for name, score in leading
        if score and score.value is not None
    )


def _datasets() -> Iterator[str]:
    """Say of each folder of data what kind it is, how many items each split has, what it lacks."""
    from vitbench.data.overview import seen_in

    yield "synthetic                built in, drawn on first use: every kind"
    base = os.environ.get("VITBENCH_DATA", "")
    if not base or not Path(base).is_dir():
        yield "folders of data are listed here if VITBENCH_DATA names the folder around them"
        return
    for path in sorted(path for path in Path(base).iterdir() if path.is_dir()):
        yield f"{path.name:24} {'; '.join(seen_in(path)) or 'no layout that is known'}"


_LINES: Mapping[str, Callable[[], Iterator[str]]] = {
    "protocols": lambda: _components("eval", protocols),
    "scorers": lambda: _components("score", scorers),
    "backbones": lambda: _named("backbones"),
    "readers": _readers,
    "recipes": lambda: _named("recipes"),
    "checkpoints": _checkpoints,
    "studies": _studies,
    PATTERNED: _architecture_counts,
    "datasets": _datasets,
    "published": _printed_rows,
}
