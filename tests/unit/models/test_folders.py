"""A folder that is no checkpoint says what it is, and how one file comes of it."""

import runpy
import sys
from pathlib import Path

import pytest
import torch
from torch.distributed.checkpoint.state_dict_saver import save

from vitbench.errors import CheckpointError
from vitbench.models.checkpoint import resolve
from vitbench.models.timm_backbone import build_backbone

ARCH = "vit_micro_patch8_32"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("model.safetensors.index.json", r"several safetensors files(.|\n)*load_file"),
        ("pytorch_model.bin.index.json", "several PyTorch files"),
        ("__0_0.distcp", "distributed checkpoint of PyTorch"),
        ("zero_to_fp32.py", "checkpoint of DeepSpeed"),
        ("mp_rank_00_model_states.pt", "checkpoint of DeepSpeed"),
        ("metrics.jsonl", "training run that has not written"),
        ("best.pth", r"holds no checkpoint(.|\n)*name the file itself: .*best.pth"),
    ],
)
def test_a_folder_of_another_kind_says_what_it_is(name: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).touch()
    with pytest.raises(CheckpointError, match=message):
        resolve(str(tmp_path))


@pytest.mark.filterwarnings("ignore")
def test_the_way_from_a_distributed_checkpoint_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = build_backbone(ARCH, seed=0).state_dict()
    folder = tmp_path / "step_100"
    save({"model": state}, checkpoint_id=folder, no_dist=True)
    with pytest.raises(CheckpointError, match="format_utils dcp_to_torch FOLDER"):
        resolve(str(folder))
    out = tmp_path / "weights.pth"
    monkeypatch.setattr(sys, "argv", ["format_utils", "dcp_to_torch", str(folder), str(out)])
    monkeypatch.delitem(sys.modules, "torch.distributed.checkpoint.format_utils", raising=False)
    runpy.run_module("torch.distributed.checkpoint.format_utils", run_name="__main__")
    torch.save(state, tmp_path / "flat.pth")
    assert (
        resolve(str(out), arch=ARCH).sha256 == resolve(str(tmp_path / "flat.pth"), arch=ARCH).sha256
    )
