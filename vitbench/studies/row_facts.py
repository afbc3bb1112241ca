"""What a table tells of a network beside its scores: size, pre-training data, length."""

import re

from vitbench.models.constants import VIT_SIZES
from vitbench.models.manifest import find_manifest, manifest_names
from vitbench.studies.matrix import Row

VIT = re.compile(r"vit_([a-z]+)_patch(\d+)_(\d+)")
OF_TRAINING = ("parameters", "pre-training", "epochs", "steps")


def facts_of(row: Row) -> dict[str, str]:
    """Return the further columns of a row; a training tells its own, whatever the file says."""
    told = {name: str(value) for name, value in row.about.items()}
    if row.training is None:
        return {**_size(_arch(row.checkpoint)), **told}
    recipe, options = row.training.made
    steps, data = row.training.steps, row.training.data
    listed = f" ({options.inputs.split_list})" if options.inputs.split_list else ""
    length = {"steps": f"{steps:,}"} if steps else {"epochs": str(recipe.epochs)}
    told = {name: text for name, text in told.items() if name not in OF_TRAINING}
    return {**_size(recipe.arch), "pre-training": f"{data}{listed}", **length, **told}


def parameters(arch: str) -> int | None:
    """Return the weights of a plain ViT without a head; None where the name is of no such ViT."""
    found = VIT.search(arch)
    if found is None or found[1] not in VIT_SIZES:
        return None
    width, depth, _ = VIT_SIZES[found[1]]
    patch, tokens = int(found[2]), (int(found[3]) // int(found[2])) ** 2 + 1
    block = 12 * width**2 + 13 * width  # products, their biases, two norms
    return depth * block + (3 * patch**2 + 1) * width + (tokens + 1) * width + 2 * width


def _size(arch: str) -> dict[str, str]:
    found = parameters(arch)
    return {} if found is None else {"parameters": f"{found / 1e6:.1f} M"}


def _arch(checkpoint: str) -> str:
    """Return text that names the architecture of a checkpoint."""
    name = checkpoint.partition("@")[0]
    return find_manifest(name).arch if name in manifest_names() else checkpoint
