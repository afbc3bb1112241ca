"""Folders as transformers writes them, and the Hub that holds such folders."""

import json
from pathlib import Path
from typing import Any

from huggingface_hub import hf_hub_download
from huggingface_hub.errors import EntryNotFoundError

from vitbench.errors import CheckpointError
from vitbench.models.file_facts import FileFacts

HUB_CONFIG = "config.json"
HUB_INPUT = "preprocessor_config.json"
HUB_WEIGHTS = ("model.safetensors", "pytorch_model.bin")


def fetch_from_hub(repository: str) -> Path:
    """Fetch the facts and weights of a repository; return the folder where they lie.

    Raises:
        CheckpointError: If it can't be reached, does not exist, or has no weights of ours.
    """
    try:
        folder = Path(hf_hub_download(repository, HUB_CONFIG)).parent
        _fetch_first(repository, (HUB_INPUT,))
        if not is_timms(folder):  # timm fetches its own
            _fetch_first(repository, HUB_WEIGHTS)
    except (OSError, ValueError, EntryNotFoundError) as error:
        raise CheckpointError(
            f"hf-hub:{repository} can't be fetched.",
            found=f"{type(error).__name__}: {str(error).strip().splitlines()[0][:200]}",
            hint="hf-hub:OWNER/NAME of a public repository; the network must be reachable",
        ) from error
    return folder


def is_timms(folder: Path) -> bool:
    """Whether timm wrote the folder, not transformers."""
    return "architecture" in _read(folder / HUB_CONFIG)


def facts_of_folder(folder: Path) -> FileFacts:
    """Read what transformers says of weights: heads, the norms' epsilon, input normalization."""
    config, seen = _read(folder / HUB_CONFIG), _read(folder / HUB_INPUT)
    return FileFacts(
        heads=config.get("num_attention_heads"),
        norm_eps=config.get("layer_norm_eps"),
        mean=tuple(seen["image_mean"]) if "image_mean" in seen else None,
        std=tuple(seen["image_std"]) if "image_std" in seen else None,
    )


def _fetch_first(repository: str, names: tuple[str, ...]) -> None:
    """Fetch the first of some files that the repository has; none is no error here."""
    for name in names:
        try:
            hf_hub_download(repository, name)
            return
        except EntryNotFoundError:
            continue


def _read(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{path}: this is not JSON: {error}") from error
    return found if isinstance(found, dict) else {}
