"""What was asked for: a checkpoint as typed, and the content of the files that it is read from.

Imports no torch: an answer that was given before is found without it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import vitbench
from vitbench.cache import find_cached
from vitbench.download import file_sha256
from vitbench.models.hub_folder import HUB_CONFIG, HUB_INDEX, HUB_INPUT, HUB_WEIGHTS
from vitbench.models.manifest import find_manifest, manifest_names, shipped_weights
from vitbench.models.run_folder import RUN_FILE, RUNS
from vitbench.models.spec_facts import split_facts
from vitbench.settings import digest, plain

LIBRARIES = ("torch", "timm", "safetensors")  # that read weights and build networks
DESCRIBED = (HUB_CONFIG, HUB_INPUT, HUB_INDEX, *HUB_WEIGHTS)  # that say what a file beside them is
SHARDS = "*.safetensors"


@dataclass(frozen=True, slots=True)
class AskedCheckpoint:
    """A checkpoint that lies in files."""

    key: str  # hash of the words, the files' content and the code that reads them
    files: tuple[tuple[Path, tuple[int, ...]], ...]  # with what tells a file from its later states

    def is_unchanged(self) -> bool:
        """Whether no file was written or removed since it was hashed."""
        return all(path.exists() and _facts_of(path) == facts for path, facts in self.files)


def asked_checkpoint(spec: str, facts: Mapping[str, Any]) -> AskedCheckpoint | None:
    """Hash a checkpoint as asked for; None where no file tells all of it, as for code.

    Args:
        spec: As the user typed it; see `checkpoint.resolve`.
        facts: What the user tells of it beside that.
    """
    name, _ = split_facts(spec)
    try:
        files = tuple((path, _facts_of(path)) for path in _files_of(name))
        content = [[str(path.resolve()), file_sha256(path)] for path, _ in files]
    except OSError:  # whoever opens it says what is wrong
        return None
    if not files:
        return None
    manifest = plain(find_manifest(name)) if name in manifest_names() else None
    return AskedCheckpoint(digest([_code(), spec, dict(facts), manifest, content]), files)


def _files_of(name: str) -> Iterator[Path]:
    """Yield the files that a name is read from; see `locate.find_source`."""
    path = Path(name).expanduser()
    if not path.exists() and (RUNS / name / RUN_FILE).exists():
        path = RUNS / name
    if not path.exists():
        yield from _downloaded(name)
    elif path.is_dir() and (path / RUN_FILE).exists():
        yield path / RUN_FILE
    elif path.is_file():
        yield from dict.fromkeys([path, *_described(path.parent)])
    elif (path / HUB_CONFIG).exists():
        yield from dict.fromkeys([*_described(path), *sorted(path.glob(SHARDS))])


def _described(folder: Path) -> Iterator[Path]:
    yield from (folder / name for name in DESCRIBED if (folder / name).is_file())


def _downloaded(name: str) -> Iterator[Path]:
    if name in manifest_names():
        manifest = find_manifest(name)
        cached = find_cached("checkpoints", name, manifest.url.rpartition("/")[2] or name)
        path = shipped_weights(manifest) or cached
        if path.is_file():
            yield path


def _facts_of(path: Path) -> tuple[int, ...]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


@cache
def _code() -> str:
    """Hash what tells the code that reads checkpoints from its later states."""
    root = Path(vitbench.__file__).parent
    sources = [[path.relative_to(root), *_facts_of(path)] for path in sorted(root.rglob("*.py"))]
    return digest([sources, [version(library) for library in LIBRARIES]])
