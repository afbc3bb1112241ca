"""Folders as transformers and timm write them, and the Hub that holds such folders."""

import json
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from huggingface_hub import hf_hub_download
from huggingface_hub.constants import ENDPOINT
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError

from vitbench.bounds import LARGEST_DOCUMENT
from vitbench.errors import CheckpointError, listed
from vitbench.models.checkpoint_metadata import CheckpointMetadata, checked_metadata
from vitbench.models.hub_folder import HUB_CONFIG, HUB_INDEX, HUB_INPUT, HUB_WEIGHTS
from vitbench.models.shards import shard_names
from vitbench.outside_files import read_text, reason, refused_as

ACTIVATIONS = {  # transformers' names and timm's
    "gelu": "gelu",
    "gelu_python": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_tanh": "gelu_tanh",
    "quick_gelu": "quick_gelu",
}
POOLINGS = {"token": "cls_token", "avg": "mean_pool"}  # timm's names
SWIN_EPS = 1e-5  # of timm's Swin Transformers
LAYERS = ("norm_layer", "block_fn", "attn_layer", "mlp_layer")  # arguments that shapes don't show
ROPE_THETA = 100.0  # of DINOv3
CONNECT = 5  # seconds


def fetch_from_hub(repository: str) -> Path:
    """Fetch the facts and weights of a repository; return the folder where they lie.

    Raises:
        CheckpointError: If it can't be reached, does not exist, or has no weights of ours.
    """
    offline = not _reachable()  # then what was fetched before is used
    try:
        with _without_retry_lines():
            folder = Path(hf_hub_download(repository, HUB_CONFIG, local_files_only=offline)).parent
            _fetch_first(repository, (HUB_INPUT,), offline)
            _fetch_first(repository, (*HUB_WEIGHTS[:1], HUB_INDEX, *HUB_WEIGHTS[1:]), offline)
            for shard in shard_names(folder / HUB_INDEX) if _is_sharded(folder) else ():
                _fetch_first(repository, (shard,), offline)
    except (OSError, ValueError, EntryNotFoundError, HfHubHTTPError) as error:
        raise CheckpointError(
            f"hf-hub:{repository} can't be fetched.",
            found=f"{type(error).__name__}: {str(error).strip().splitlines()[0][:200]}",
            hint="hf-hub:OWNER/NAME of a public repository; the network must be reachable",
        ) from error
    return folder


def _is_sharded(folder: Path) -> bool:
    return (folder / HUB_INDEX).exists() and not (folder / HUB_WEIGHTS[0]).exists()


def describes_weights(folder: Path) -> bool:
    """Whether a folder has the facts that transformers or timm write beside weights."""
    return bool({"architecture", "model_type"} & _read(folder / HUB_CONFIG).keys())


def facts_of_folder(folder: Path) -> CheckpointMetadata:
    """Read what transformers or timm say of weights beside them.

    Raises:
        CheckpointError: If a file there can't be read, or a fact in it is out of its range.
    """
    config, seen = _read(folder / HUB_CONFIG), _read(folder / HUB_INPUT)
    told = _timms(config) if "architecture" in config else _transformers(config, seen)
    return checked_metadata(told, str(folder / HUB_CONFIG))


def _transformers(config: dict[str, Any], seen: dict[str, Any]) -> dict[str, Any]:
    config = {**config, **_mapping(config, "vision_config")}  # of a model of images and text
    theta = config.get("rope_theta")
    if config.get("model_type") == "dinov3_vit" and theta not in (None, ROPE_THETA):
        raise CheckpointError(
            f"{HUB_CONFIG}: rope_theta {theta!r} is not that of our networks.",
            expected=str(ROPE_THETA),
            hint="weights of the published DINOv3 have it",
        )
    return {
        "heads": config.get("num_attention_heads"),
        "native_px": config.get("image_size") if config.get("model_type") == "swin" else None,
        "heads_from": HUB_CONFIG,
        "norm_eps": config.get("layer_norm_eps"),
        "activation": None if _gated(config) else _activation(config.get("hidden_act")),
        "mean": seen.get("image_mean"),
        "std": seen.get("image_std"),
    }


def _gated(config: dict[str, Any]) -> bool:
    """Whether the MLPs have gates, which are always SiLU in our networks."""
    if config.get("use_swiglu_ffn"):
        return True
    return bool(config.get("use_gated_mlp")) and config.get("hidden_act") == "silu"


def _timms(config: dict[str, Any]) -> dict[str, Any]:
    """Take the facts that timm wrote, without the sizes, which the weights tell."""
    inputs, arguments = _mapping(config, "pretrained_cfg"), _mapping(config, "model_args")
    odd = [name for name in LAYERS if name in arguments]
    if odd:
        raise CheckpointError(
            f"{HUB_CONFIG}: the network is built of layers that our networks don't have.",
            found=listed([f"{name} {arguments[name]!r}" for name in odd]),
        )
    name = config["architecture"]
    return {
        "arch": name,
        "heads": arguments.get("num_heads"),
        "heads_from": HUB_CONFIG,
        "norm_eps": SWIN_EPS if str(name).startswith("swin_") else None,
        "activation": _activation(arguments.get("act_layer")),
        "pooling": POOLINGS.get(str(config.get("global_pool"))),
        "mean": inputs.get("mean"),
        "std": inputs.get("std"),
        "position_rule": "timm",
    }


def _mapping(config: dict[str, Any], key: str) -> dict[str, Any]:
    found = config.get(key)
    return found if isinstance(found, dict) else {}


def _activation(said: Any) -> str | None:
    if said is not None and said not in ACTIVATIONS:
        raise CheckpointError(
            f"{HUB_CONFIG}: activation {said!r} is not one that our networks have.",
            expected=f"one of {', '.join(ACTIVATIONS)}",
        )
    return None if said is None else ACTIVATIONS[said]


def _reachable() -> bool:
    """Whether the Hub answers at all; the library would try six times before it gives up."""
    if getproxies().get("https"):
        return True
    address = urlsplit(ENDPOINT)
    try:
        port = address.port or (443 if address.scheme == "https" else 80)
        socket.create_connection((address.hostname or "", port), timeout=CONNECT).close()
    except OSError:
        return False
    return True


@contextmanager
def _without_retry_lines() -> Iterator[None]:
    """Keep the library's log of its attempts out of the terminal; the last error says it all."""
    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _fetch_first(repository: str, names: tuple[str, ...], offline: bool) -> None:
    """Fetch the first of some files that the repository has; none is no error here."""
    for name in names:
        try:
            hf_hub_download(repository, name, local_files_only=offline)
            return
        except EntryNotFoundError:
            continue


def _read(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    with refused_as(lambda error: CheckpointError(f"{path}: this is not JSON: {reason(error)}")):
        found = json.loads(read_text(path, LARGEST_DOCUMENT))
    return found if isinstance(found, dict) else {}
