"""Write a backbone so that it can be read again: weights and all facts in one safe file."""

from pathlib import Path

from safetensors.torch import save

from vitbench.errors import MissingAbility
from vitbench.models.backbone import Backbone
from vitbench.models.checkpoint_metadata import FACTS, METADATA, CheckpointMetadata
from vitbench.records import atomic


def save_backbone(backbone: Backbone, path: Path, *, method: str) -> None:
    """Write a backbone as safetensors, its architecture and input normalization as metadata.

    Args:
        backbone: What to write, on any device.
        path: The file; a run's folder is a checkpoint if it holds `run_folder.RUN_FILE`.
        method: How the weights were made, such as "dino".
    """
    if backbone.architecture is None:
        raise MissingAbility(
            f"{backbone.info.arch} can't be written: nothing says how to build it again.",
            hint=f"give {type(backbone).__name__} an `architecture`",
        )
    facts = CheckpointMetadata(
        architecture=backbone.architecture,
        method=method,
        mean=backbone.info.mean,
        std=backbone.info.std,
        position_rule=backbone.info.position_rule,
    )
    tensors = {key: value.cpu().contiguous() for key, value in backbone.own_state().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as temporary:
        # save_file would write beside it, to a file that a kill leaves
        temporary.write_bytes(save(tensors, {METADATA: FACTS.dump_json(facts).decode()}))
