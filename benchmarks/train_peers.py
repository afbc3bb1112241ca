"""The official training steps, from checkouts of their code: what `train.py` measures against."""

import importlib
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

SHARED_NAMES = ("utils", "vision_transformer", "models", "config", "layers", "data", "logger")


@dataclass(frozen=True)
class Shape:
    """What both sides train."""

    arch: str  # vit_tiny, vit_small or vit_base
    prototypes: int
    patch_prototypes: int
    local_crops: int
    device: torch.device


@contextmanager
def checkout(folder: Path) -> Any:
    """Import modules of a checkout; modules of the same names of another are forgotten."""
    for name in [name for name in sys.modules if name.partition(".")[0] in SHARED_NAMES]:
        del sys.modules[name]
    sys.path.insert(0, str(folder))
    try:
        yield importlib.import_module
    finally:
        sys.path.remove(str(folder))


def alone() -> None:
    """Start a process group of one: the official losses reduce over processes without asking."""
    if not dist.is_initialized():
        meeting = Path(tempfile.mkdtemp()) / "meet"
        backend = "nccl" if torch.cuda.is_available() else "gloo"
        dist.init_process_group(backend, init_method=f"file://{meeting}", rank=0, world_size=1)


class Official:
    """One official training step, put together from the functions of its loop."""

    def __init__(self, folder: Path, method: str, shape: Shape) -> None:
        alone()
        os.environ.setdefault("MASTER_PORT", "29500")
        with checkout(folder) as load:
            self.utils = load("utils")
            module = load("main_selfpatch" if method == "selfpatch" else "main_dino")
        self.method, self.shape = method, shape
        build = self._selfpatch if method == "selfpatch" else self._dino
        self.student, self.teacher = build(module, 0.1), build(module, 0.0)
        self.teacher.load_state_dict(self.student.state_dict())
        for parameter in self.teacher.parameters():
            parameter.requires_grad = False
        widths = [shape.prototypes, *([shape.patch_prototypes] if method == "selfpatch" else [])]
        crops = 2 + shape.local_crops
        self.loss = module.DINOLoss(*widths, crops, 0.04, 0.04, 0, 100).to(shape.device)
        groups = self.utils.get_params_groups(self.student)
        self.optimizer = torch.optim.AdamW(groups, lr=5e-4, weight_decay=0.04)

    def step(self, crops: Sequence[Tensor], autocast: Callable[[], Any]) -> float:
        """Make one step, as `train_one_epoch` does without its GradScaler."""
        images = list(crops)
        with autocast():
            loss = self._loss(images)
        value: float = loss.item()
        self.optimizer.zero_grad()
        torch.autograd.backward(loss)
        self.utils.clip_gradients(self.student, 3.0)
        self.utils.cancel_gradients_last_layer(1, self.student, 1)
        self.optimizer.step()
        with torch.no_grad():
            pairs = zip(self.student.parameters(), self.teacher.parameters(), strict=True)
            for ours, theirs in pairs:
                theirs.data.mul_(0.996).add_((1 - 0.996) * ours.detach().data)
        return value

    def _loss(self, images: list[Tensor]) -> Tensor:
        if self.method == "dino":
            seen, learned = self.teacher(images[:2]), self.student(images)
            value: Tensor = self.loss(learned, seen, 1)
            return value
        parts = [torch.cat(images[:2]), torch.cat(images[2:])]
        with torch.no_grad():
            seen = [self.teacher(part, head_only=True, loc=True) for part in parts]
        learned = [self.student(part, head_only=True, loc=False) for part in parts]
        total: Tensor = self.loss(self.teacher, self.student, learned, seen, 1, 0)[0]
        return total

    def _dino(self, module: Any, drop_path: float) -> nn.Module:
        vits = module.vits
        backbone = vits.__dict__[self.shape.arch](patch_size=16, drop_path_rate=drop_path)
        head = module.DINOHead(backbone.embed_dim, self.shape.prototypes)
        whole: nn.Module = self.utils.MultiCropWrapper(backbone, head)
        return whole.to(self.shape.device)

    def _selfpatch(self, module: Any, drop_path: float) -> nn.Module:
        vits = module.vits
        backbone = vits.__dict__[self.shape.arch](patch_size=16, drop_path_rate=drop_path)
        width, heads = backbone.embed_dim, backbone.num_heads
        whole: nn.Module = module.MultiCropWrapper(
            backbone,
            module.SelfPatchHead(width, heads, 4),
            module.DINOHead(width, self.shape.prototypes),
            module.DINOHead(width, self.shape.patch_prototypes),
        )
        return whole.to(self.shape.device)
