"""Find the state dicts of networks inside the nested dictionaries of a file."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from torch import Tensor

DEEPEST = 4  # dictionaries inside one another, as in VISSL's files
MOST = 1000  # dictionaries that are looked into
MOST_NAMED = 4  # prefixes that an error names
# how the first layer's weight is called; every Vision Transformer has one
FIRST = (
    "patch_embed.proj.weight",
    "patch_embeddings.projection.weight",
    "patch_embedding.weight",
    "conv_proj.weight",
)


def inside(content: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    """Follow a dotted path; nothing there is an empty mapping."""
    here: Any = content
    for step in filter(None, where.split(".")):
        here = here.get(step) if isinstance(here, Mapping) else None
    return here if isinstance(here, Mapping) else {}


def tensors_of(mapping: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return the tensors of a dictionary, not of those inside it."""
    return {str(key): value for key, value in mapping.items() if isinstance(value, Tensor)}


def weight_places(content: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the dotted path of every state dict in a file; "" is the file itself."""
    return tuple(
        path
        for path, mapping in dictionaries(content)
        if any(key.endswith(FIRST) for key in tensors_of(mapping))
    )


def network_prefixes(keys: Iterable[str]) -> tuple[str, ...]:
    """Return the prefix of the keys of each network in a dictionary: `teacher_backbone.vit.`.

    A network whose keys have nothing before them gives no prefix.
    """
    found = (key.removesuffix(first) for key in keys for first in FIRST if key.endswith(first))
    return tuple(dict.fromkeys(prefix for prefix in found if prefix))


def prefix_hint(keys: Iterable[str]) -> str:
    """Return the `--prefix` flags that take networks of a dictionary; empty if there are none."""
    prefixes = network_prefixes(keys)
    return " or ".join(f"--prefix {prefix}" for prefix in prefixes[:MOST_NAMED])


def dictionaries(content: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the dictionaries of a file and their dotted paths, itself first, nearest first."""
    level: list[tuple[str, Mapping[str, Any]]] = [("", content)]
    looked = 0
    for _ in range(DEEPEST + 1):
        deeper: list[tuple[str, Mapping[str, Any]]] = []
        for path, mapping in level:
            looked += 1
            if looked > MOST:
                return
            yield path, mapping
            deeper += (
                (f"{path}.{key}" if path else key, value)
                for key, value in mapping.items()
                if isinstance(key, str) and "." not in key and isinstance(value, Mapping)
            )
        level = deeper
