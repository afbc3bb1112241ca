"""A manifest: one TOML file with the facts about one published weight file. Imports no torch."""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import ClassVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from vitbench.errors import CheckpointError, UnknownName
from vitbench.models.facts import IMAGENET_MEAN, IMAGENET_STD, PositionRule, Triple

GROUP = "vitbench.checkpoints"


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedScore:
    """A score that the authors printed."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    protocol: str
    metric: str  # our key, such as top1_k20
    value: float  # in the metric's unit; percent is 0 to 100
    source: str  # where it is printed
    note: str = ""  # what differs from our protocol of that name


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Facts about one weight file; what nobody published is left empty."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    name: str  # also the file's stem
    method: str
    arch: str  # our name or timm's
    heads: int | None = None  # attention heads; only a Swin's weights tell them
    license: str
    source: str  # paper and repository
    url: str = ""  # empty: not to be had by a plain download, `note` says where it is
    file_sha256: str = ""
    size_bytes: int = 0
    state_key: str = ""  # dotted path of the weights inside the file
    ignore: tuple[str, ...] = ()  # patterns of keys left out, beside those of the layout
    position_rule: PositionRule = "dino"
    mean: Triple = IMAGENET_MEAN
    std: Triple = IMAGENET_STD
    published: tuple[PublishedScore, ...] = ()
    note: str = ""


ADAPTER = TypeAdapter(Manifest)


def manifest_names() -> tuple[str, ...]:
    """Return the names of every manifest, of this distribution and of outside ones."""
    return tuple(sorted(_files()))


def find_manifest(name: str) -> Manifest:
    """Read the manifest of a name.

    Raises:
        UnknownName: If there is none.
        CheckpointError: If it can't be read.
    """
    found = _files().get(name)
    if found is None:
        raise UnknownName(
            "checkpoint", name, manifest_names(), hint="a path, or random:ARCH, is a checkpoint too"
        )
    return parse_manifest(found.read_text("utf-8"), name=name)


def parse_manifest(text: str, *, name: str) -> Manifest:
    """Read a manifest from TOML.

    Args:
        text: The file's text.
        name: The file's stem, which the manifest must repeat.

    Raises:
        CheckpointError: With every problem of the file.
    """
    try:
        manifest = ADAPTER.validate_python(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise CheckpointError(f"manifest {name}: this is not TOML: {error}") from error
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise CheckpointError(
            f"manifest {name}: {len(problems)} fields are wrong.", found="; ".join(problems)
        ) from error
    if manifest.name != name:
        raise CheckpointError(f"manifest {name}: it calls itself {manifest.name!r}.")
    if manifest.heads is None and not manifest.arch.startswith("swin_"):
        raise CheckpointError(f"manifest {name}: `heads` is missing; weights do not tell them.")
    return manifest


@cache
def _files() -> Mapping[str, Traversable]:
    return {entry.name.removesuffix(".toml"): entry for entry in _entries()}


def _entries() -> Iterator[Traversable]:
    for package in {point.value for point in entry_points(group=GROUP)}:
        yield from (entry for entry in files(package).iterdir() if entry.name.endswith(".toml"))
