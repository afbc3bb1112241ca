"""Open a checkpoint by its name: path, training run, manifest, timm, Hub, random weights."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from vitbench.cache import find_cached
from vitbench.download import Progress, download, file_sha256
from vitbench.errors import CheckpointError, SettingError
from vitbench.models.checkpoint_metadata import CheckpointMetadata, metadata_of
from vitbench.models.factory import build
from vitbench.models.folders import no_checkpoint
from vitbench.models.hub_folder import HUB_CONFIG, HUB_INDEX, HUB_WEIGHTS
from vitbench.models.hugging_face import (
    describes_weights,
    facts_of_folder,
    fetch_from_hub,
)
from vitbench.models.manifest import Manifest, find_manifest, manifest_names, shipped_weights
from vitbench.models.pixels import pixel_weights
from vitbench.models.run_folder import RUN_FILE, RUNS
from vitbench.models.shards import read_shards
from vitbench.models.timm_names import pretrained_by_timm
from vitbench.models.weight_file import read_weight_file

LARGEST_PIXEL_PATCH = 32  # its tokens have 3,072 numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """An opened checkpoint, before its layout is recognized."""

    name: str
    origin: str  # in words
    content: Mapping[str, Any]
    facts: CheckpointMetadata = field(default_factory=CheckpointMetadata)
    manifest: Manifest | None = None
    file_sha256: str = ""


def find_source(spec: str, progress: Progress) -> Source:
    """Open what a spec names; see `checkpoint.resolve` for the forms it can have.

    Raises:
        CheckpointError: If it can't be found, fetched or read.
        UnknownName: If it is neither a path nor a known name.
    """
    kind, _, rest = spec.partition(":")
    opener = OPENERS.get(kind)
    if opener is not None and rest:
        return opener(rest)
    path = Path(spec).expanduser()
    if not path.exists() and (RUNS / spec / RUN_FILE).exists():
        return _from_path(RUNS / spec)
    if path.exists() or (spec not in manifest_names() and (path.suffix or path.parent.name)):
        return _from_path(path)
    return _from_manifest(find_manifest(spec), progress)


def _from_path(path: Path) -> Source:
    if path.is_dir() and not (path / RUN_FILE).exists():
        return _hugging_face(path, path.resolve().name)
    if path.name in HUB_WEIGHTS and describes_weights(path.parent):
        return _hugging_face(path.parent, path.resolve().parent.name, path.name)
    file_path = path / RUN_FILE if path.is_dir() else path
    file = read_weight_file(file_path)
    return Source(
        name=path.resolve().name if path.is_dir() else path.stem,
        origin=f"{file.kind} file {file_path.name}",
        content=file.content,
        facts=metadata_of(file),
        file_sha256=file_sha256(file_path),
    )


def _hugging_face(folder: Path, name: str, file_name: str | None = None) -> Source:
    """Open a folder that transformers or timm wrote, or the Hub's copy of one."""
    names = (file_name,) if file_name else HUB_WEIGHTS
    path = next((folder / file for file in names if (folder / file).exists()), None)
    if path is None and (folder / HUB_INDEX).exists() and (folder / HUB_CONFIG).exists():
        joined, sha256 = read_shards(folder)
        return Source(
            name=name,
            origin=f"{joined.kind} files of {HUB_INDEX} of {name}",
            content=joined.content,
            facts=facts_of_folder(folder),
            file_sha256=sha256,
        )
    if path is None or not (folder / HUB_CONFIG).exists():
        raise no_checkpoint(folder, f"{RUN_FILE}, or {HUB_CONFIG} and {HUB_WEIGHTS[0]}")
    file = read_weight_file(path)
    return Source(
        name=name,
        origin=f"{file.kind} file {path.name} of {name}",
        content=file.content,
        facts=facts_of_folder(folder),
        file_sha256=file_sha256(path),
    )


def _from_manifest(manifest: Manifest, progress: Progress) -> Source:
    path, sha256 = _weights_of(manifest, progress)
    file = read_weight_file(path)
    return Source(
        name=manifest.name,
        origin=f"manifest {manifest.name}, {manifest.url or manifest.file}",
        content=file.content,
        facts=metadata_of(file),
        manifest=manifest,
        file_sha256=sha256,
    )


def _weights_of(manifest: Manifest, progress: Progress) -> tuple[Path, str]:
    """Return the verified file of a manifest and its sha256: beside it, or downloaded."""
    shipped = shipped_weights(manifest)
    if shipped is not None:
        return shipped, _intact(shipped, manifest.file_sha256)
    name = manifest.url.rpartition("/")[2]
    if not name:
        raise CheckpointError(
            f"{manifest.name}: nothing is known to download it from.",
            found=manifest.note,
            hint="fetch it by hand and name the file by its path",
        )
    path = find_cached("checkpoints", manifest.name, name)
    sha256 = download(
        manifest.url,
        path,
        sha256=manifest.file_sha256,
        size_bytes=manifest.size_bytes,
        progress=progress,
    )
    return path, sha256


def _intact(path: Path, expected: str) -> str:
    found = file_sha256(path)
    if found != expected:
        raise CheckpointError(
            f"{path}: the file is not the one that was installed.",
            expected=f"sha256 {expected}",
            found=f"sha256 {found}",
            hint="install vitbench again",
        )
    return found


def read_random(rest: str) -> tuple[str, int]:
    """Return name and seed of `NAME[?seed=N]`.

    Raises:
        SettingError: There are other options, or the seed is no number.
    """
    name, _, query = rest.partition("?")
    options = parse_qs(query)
    seed = options.pop("seed", ["0"])[-1]
    if options or not seed.isdigit():
        raise SettingError(
            [f"random:{rest} has unknown options"], hint="random:ARCH, or random:ARCH?seed=N"
        )
    return name, int(seed)


def _random(rest: str) -> Source:
    arch, seed = read_random(rest)
    backbone = build(arch, seed=seed)
    return Source(
        name=f"random-{arch}-seed{seed}",
        origin=f"random weights of seed {seed}",
        content=backbone.own_state(),
        facts=CheckpointMetadata(architecture=backbone.architecture, method="random"),
    )


def _pixels(patch: str) -> Source:
    if not patch.isdigit() or not 1 <= int(patch) <= LARGEST_PIXEL_PATCH:
        raise SettingError(
            [f"pixels:{patch} names no patch size from 1 to {LARGEST_PIXEL_PATCH}"],
            hint="pixels:16",
        )
    architecture, state = pixel_weights(int(patch))
    facts = CheckpointMetadata(architecture=architecture, method="pixels")
    return Source(
        name=f"pixels-patch{patch}", origin="the pixels themselves", content=state, facts=facts
    )


def _timm(name: str) -> Source:
    found = pretrained_by_timm(name)
    facts = CheckpointMetadata(
        architecture=found.architecture,
        mean=found.mean,
        std=found.std,
        position_rule="timm",
        pooling=found.pooling,
    )
    return Source(name=name, origin=f"timm's {name}", content=found.state, facts=facts)


def _hub(repository: str) -> Source:
    folder = fetch_from_hub(repository)
    return _hugging_face(folder, repository.replace("/", "-"))


OPENERS: Mapping[str, Callable[[str], Source]] = {
    "random": _random,
    "pixels": _pixels,
    "timm": _timm,
    "hf-hub": _hub,
}
