"""A manifest: one TOML file with the facts about one published weight file. Imports no torch."""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError

from vitbench.errors import CheckpointError, UnknownName
from vitbench.models.constants import IMAGENET_MEAN, IMAGENET_STD, PositionRule
from vitbench.models.limits import Heads, Mean, Std
from vitbench.registry import offered

GROUP = "vitbench.checkpoints"
# weights that every network needs: a pattern that leaves one out is too wide
NEEDED = (
    "patch_embed.proj.weight",
    "blocks.0.attn.qkv.weight",
    "blocks.0.mlp.fc1.weight",
    "layers.0.blocks.0.attn.qkv.weight",
    "norm.weight",
)


def _pattern(text: str) -> str:
    hit = next((name for name in NEEDED if fnmatchcase(name, text)), None)
    if hit:
        raise ValueError(f"the pattern {text!r} leaves out {hit}, which every network needs")
    return text


Line = Annotated[str, Field(min_length=1, max_length=1000)]
Pattern = Annotated[Line, AfterValidator(_pattern)]
Url = Annotated[str, Field(pattern=r"^(https?://[^\s/]+/\S*[^\s/.])?$")]


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedScore:
    """A score that the authors printed."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    protocol: Line
    metric: Line  # our key, such as top1_k20
    value: Annotated[float, Field(allow_inf_nan=False)]  # in the metric's unit; percent is 0 to 100
    source: str  # where it is printed
    setup: str = ""  # preset and data, by their name in the report's published.toml
    note: str = ""  # what differs from our protocol of that name


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Facts about one published weight file; facts that were not published are empty."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    name: Annotated[str, Field(pattern=r"^\w[\w.-]*$")]  # also the file's stem
    method: Line
    arch: Line  # our name or timm's
    heads: Heads | None = None  # attention heads; only a Swin's weights tell them
    license: Line
    source: Line  # paper and repository
    url: Url = ""  # empty: not to be had by a plain download, `note` says where it is
    file: Annotated[str, Field(pattern=r"^(\w[\w.-]*\.safetensors)?$")] = ""  # beside the manifest
    file_sha256: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""
    size_bytes: Annotated[int, Field(ge=0)] = 0
    state_key: str = ""  # dotted path of the weights inside the file
    ignore: tuple[Pattern, ...] = ()  # patterns of keys left out, beside those of the layout
    position_rule: PositionRule = "dino"
    mean: Mean = IMAGENET_MEAN
    std: Std = IMAGENET_STD
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
    if manifest.file and not manifest.file_sha256:
        raise CheckpointError(f"manifest {name}: `file` is without its `file_sha256`.")
    return manifest


def shipped_weights(manifest: Manifest) -> Path | None:
    """Return the weight file that lies beside a manifest; None where there is none."""
    beside = _files()[manifest.name].with_name(manifest.file) if manifest.file else None
    return beside if beside and beside.is_file() else None


@cache
def _files() -> Mapping[str, Path]:
    return {path.name.removesuffix(".toml"): path for path in _entries()}


def _entries() -> Iterator[Path]:
    for package in {point.value for point in offered(GROUP)}:
        entries = (Path(str(entry)) for entry in files(package).iterdir())
        yield from (path for path in entries if path.suffix == ".toml")
