"""Errors for folders without a checkpoint: what the folder is, and how to get its weights."""

from pathlib import Path

from vitbench.errors import CheckpointError, listed

# (shell pattern of a file that only such a folder has, what it is, how one file comes of it)
OTHERS = (
    (
        "*.distcp",
        "a distributed checkpoint of PyTorch",
        "python -m torch.distributed.checkpoint.format_utils dcp_to_torch FOLDER weights.pth",
    ),
    (
        "zero_to_fp32.py",
        "a checkpoint of DeepSpeed",
        "python zero_to_fp32.py . weights, in that folder (its own program), then that file",
    ),
    (
        "mp_rank_*_model_states.pt",
        "a checkpoint of DeepSpeed",
        "name mp_rank_00_model_states.pt, with --state-key module",
    ),
    (
        "*.safetensors.index.json",
        "weights in several safetensors files (shards)",
        "one file: safetensors.torch.save_file of the dictionary that load_file gives for each "
        "shard, joined",
    ),
    (
        "pytorch_model.bin.index.json",
        "weights in several PyTorch files (shards)",
        "one file: torch.save of the dictionary that torch.load gives for each shard, joined",
    ),
    (
        "metrics.jsonl",
        "a training run that has not written its backbone",
        "let it finish; `vitbench train --help` tells how to go on with one",
    ),
    ("data.pkl", "an unpacked PyTorch file", "pack it again, or take the file that it came from"),
)
WEIGHTS = ("*.safetensors", "*.pth", "*.pt", "*.bin", "*.ckpt", "*.tar", "*.torch")


def no_checkpoint(folder: Path, expected: str) -> CheckpointError:
    """Return the error for a folder without a checkpoint; says what it is, where that is known.

    Args:
        folder: The folder.
        expected: The files that would have been a checkpoint.
    """
    for pattern, what, hint in OTHERS:
        if next(folder.glob(pattern), None) is not None:
            return CheckpointError(
                f"{folder}: this folder is {what}.", expected=expected, found=pattern, hint=hint
            )
    files = sorted({path.name for pattern in WEIGHTS for path in folder.glob(pattern)})
    return CheckpointError(
        f"{folder}: this folder holds no checkpoint.",
        expected=expected,
        found=f"files of weights: {listed(files)}" if files else "a folder without them",
        hint=f"name the file itself: {folder / files[0]}" if files else "name the file itself",
    )
