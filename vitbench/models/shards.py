"""Weights in several safetensors files of a folder, joined by the index beside them."""

import hashlib
import json
from pathlib import Path

from vitbench.bounds import LARGEST_DOCUMENT
from vitbench.download import file_sha256
from vitbench.errors import CheckpointError, listed
from vitbench.models.hub_folder import HUB_INDEX
from vitbench.models.weight_file import WeightFile, read_weight_file
from vitbench.outside_files import read_text, reason, refused_as

MOST = 1000  # files


def shard_names(index: Path) -> tuple[str, ...]:
    """Return the names of the files that an index lists, sorted.

    Raises:
        CheckpointError: If it is no index, or names a file outside its folder.
    """
    with refused_as(
        lambda error: CheckpointError(
            f"{index}: this is no index of shards.",
            expected='{"weight_map": {key: file}} as transformers writes it',
            found=f"{type(error).__name__}: {reason(error)}",
            hint="download it again with the files that it lists",
        )
    ):
        listing = json.loads(read_text(index, LARGEST_DOCUMENT))
        names = {str(name) for name in listing["weight_map"].values()}
    odd = [
        name
        for name in sorted(names)
        if Path(name).name != name or Path(name).suffix != ".safetensors"
    ]
    if odd or not 0 < len(names) <= MOST:
        raise CheckpointError(
            f"{index}: the index lists files that are not read.",
            expected=f"1 to {MOST} names of safetensors files in its own folder",
            found=listed(odd) if odd else f"{len(names)} names",
            hint="safetensors.torch.save_file of the joined dictionary makes one file",
        )
    return tuple(sorted(names))


def read_shards(folder: Path) -> tuple[WeightFile, str]:
    """Join the shards of a folder; return the weights and a hash of all files.

    Raises:
        CheckpointError: If a file is missing or damaged, or two hold the same key.
    """
    names = shard_names(folder / HUB_INDEX)
    content: dict[str, object] = {}
    digest = hashlib.sha256()
    for name in names:
        path = folder / name
        file = read_weight_file(path)
        twice = sorted(content.keys() & file.content.keys())
        if file.kind != "safetensors" or twice:
            raise CheckpointError(
                f"{path}: this is no shard of its folder's weights.",
                expected="a safetensors file whose keys no other shard has",
                found=f"a {file.kind} file" + (f" with {listed(twice)} again" if twice else ""),
                hint="download the folder again",
            )
        content |= file.content
        digest.update(f"{name} {file_sha256(path)}\n".encode())
    return WeightFile("safetensors", content), digest.hexdigest()
