"""The official training steps, from checkouts of their code: what `train.py` measures against."""

import importlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, MutableSequence, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Protocol
from unittest.mock import MagicMock, patch

import torch
import torch.distributed as dist
from timm import create_model
from torch import Tensor, nn

SHARED_NAMES = ("utils", "vision_transformer", "models", "optimizer", "layers", "data", "logger")
ELSEWHERE = {  # what the checkouts import beside what a step needs, long gone or never installed
    "esvit": (
        "einops", "config", "datasets", "models.cvt_v4_transformer", "models.vision_longformer",
        "timm.data", "timm.data.auto_augment", "timm.data.transforms", "timm.data.random_erasing",
    ),
    "moby": ("diffdist", "models.build"),
}  # fmt: skip


@dataclass(frozen=True)
class Shape:
    """What both sides train."""

    arch: str  # vit_tiny, vit_small, vit_base or swin_tiny
    prototypes: int
    patch_prototypes: int
    local_crops: int
    device: torch.device


class Official(Protocol):
    """An official training step."""

    def step(self, crops: Sequence[Tensor], autocast: Callable[[], Any]) -> float:
        """Learn from one batch and return the loss."""


class StandIn(ModuleType):
    """A module that a checkout imports and its training step never calls."""

    __all__: Sequence[str] = ()
    __path__: MutableSequence[str] = []  # noqa: RUF012  (as a package has it)

    def __getattr__(self, name: str) -> Any:
        return MagicMock(name=name)


@contextmanager
def checkout(folder: Path, elsewhere: Sequence[str] = ()) -> Iterator[Callable[[str], Any]]:
    """Import modules of a checkout; modules of the same names of another are forgotten.

    Args:
        folder: The checkout.
        elsewhere: Modules that nothing measured needs; stand-ins are imported for them.
    """
    for name in [name for name in sys.modules if name.partition(".")[0] in SHARED_NAMES]:
        del sys.modules[name]
    with (
        patch.dict(sys.modules, {name: StandIn(name) for name in elsewhere}),
        patch.object(sys, "path", [str(folder), *sys.path]),
    ):
        found: dict[str, Any] = {}

        def load(name: str) -> Any:
            return found.setdefault(name, importlib.import_module(name))

        yield load


def alone() -> None:
    """Start a process group of one: the official losses reduce over processes without asking."""
    if not dist.is_initialized():
        meeting = Path(tempfile.mkdtemp()) / "meet"
        backend = "nccl" if torch.cuda.is_available() else "gloo"
        dist.init_process_group(backend, init_method=f"file://{meeting}", rank=0, world_size=1)


def official_step(folder: Path, method: str, shape: Shape) -> Official:
    """Return the official training step of a method, from a checkout of its code."""
    alone()
    os.environ.setdefault("MASTER_PORT", "29500")
    with checkout(folder, ELSEWHERE.get(method, ())) as load:
        return Contrast(load, shape) if method == "moby" else Distillation(load, method, shape)


class Distillation:
    """A step of DINO, SelfPatch or EsViT, put together from the functions of its loop."""

    def __init__(self, load: Callable[[str], Any], method: str, shape: Shape) -> None:
        self.method, self.shape, self.utils = method, shape, load("utils")
        module = load(
            {"selfpatch": "main_selfpatch", "esvit": "main_esvit"}.get(method, "main_dino")
        )
        if "swin" in shape.arch:
            module.swin = load("models.swin_transformer").SwinTransformer
        build = {"selfpatch": self._selfpatch, "esvit": self._esvit}.get(method, self._dino)
        self.student, self.teacher = (build(module, rate).to(shape.device) for rate in (0.1, 0.0))
        self.teacher.load_state_dict(self.student.state_dict())
        for parameter in self.teacher.parameters():
            parameter.requires_grad = False
        widths = [shape.prototypes, *([shape.patch_prototypes] if method == "selfpatch" else [])]
        kind = module.DDINOLoss if method == "esvit" else module.DINOLoss
        self.loss = kind(*widths, 2 + shape.local_crops, 0.04, 0.04, 0, 100).to(shape.device)
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
        if self.method != "selfpatch":
            seen, learned = self.teacher(images[:2]), self.student(images)
            more = [None] if self.method == "esvit" else []  # no mixup
            value: Tensor = self.loss(learned, seen, 1, *more)
            return value
        parts = [torch.cat(images[:2]), torch.cat(images[2:])]
        with torch.no_grad():
            seen = [self.teacher(part, head_only=True, loc=True) for part in parts]
        learned = [self.student(part, head_only=True, loc=False) for part in parts]
        total: Tensor = self.loss(self.teacher, self.student, learned, seen, 1, 0)[0]
        return total

    def _dino(self, module: Any, drop_path: float) -> nn.Module:
        backbone = module.vits.__dict__[self.shape.arch](patch_size=16, drop_path_rate=drop_path)
        head = module.DINOHead(backbone.embed_dim, self.shape.prototypes)
        whole: nn.Module = self.utils.MultiCropWrapper(backbone, head)
        return whole

    def _selfpatch(self, module: Any, drop_path: float) -> nn.Module:
        backbone = module.vits.__dict__[self.shape.arch](patch_size=16, drop_path_rate=drop_path)
        width, heads = backbone.embed_dim, backbone.num_heads
        whole: nn.Module = module.MultiCropWrapper(
            backbone,
            module.SelfPatchHead(width, heads, 4),
            module.DINOHead(width, self.shape.prototypes),
            module.DINOHead(width, self.shape.patch_prototypes),
        )
        return whole

    def _esvit(self, module: Any, drop_path: float) -> nn.Module:
        dense: dict[str, Any] = {"drop_path_rate": drop_path, "use_dense_prediction": True}
        whole: Any
        if "swin" in self.shape.arch:
            norm = partial(nn.LayerNorm, eps=1e-6)
            whole = module.swin(num_classes=0, norm_layer=norm, **dense)
            width = whole.num_features
        else:
            name = self.shape.arch.replace("vit_tiny", "deit_tiny").replace("vit_s", "deit_s")
            whole = module.vits.__dict__[name](patch_size=16, **dense)
            width = whole.embed_dim
        whole.head = module.DINOHead(width, self.shape.prototypes)
        whole.head_dense = module.DINOHead(width, self.shape.prototypes)
        network: nn.Module = whole
        return network


class Contrast:
    """A step of MoBY; its ViT is today's timm's, since the one it names is no longer there."""

    def __init__(self, load: Callable[[str], Any], shape: Shape) -> None:
        module = load("models.moby")
        module.dist_collect = lambda keys: keys  # of one process
        swin = load("models.swin_transformer").SwinTransformer
        self.device = shape.device

        def encoder(drop_path: float) -> nn.Module:
            if "swin" in shape.arch:
                network: nn.Module = swin(num_classes=0, drop_path_rate=drop_path)
                return network
            name = f"{shape.arch}_patch16_224"
            return create_model(name, num_classes=0, drop_path_rate=drop_path)

        config = SimpleNamespace(
            MODEL=SimpleNamespace(SWIN=SimpleNamespace(NORM_BEFORE_MLP="ln")),
            DATA=SimpleNamespace(TRAINING_IMAGES=100_000, BATCH_SIZE=100),
            TRAIN=SimpleNamespace(EPOCHS=100, START_EPOCH=1),
        )
        with patch.object(nn.SyncBatchNorm, "convert_sync_batchnorm", lambda module: module):
            self.model = module.MoBY(config, encoder(0.2), encoder(0.0)).to(shape.device)
        groups = load("optimizer").set_weight_decay(self.model)
        self.optimizer = torch.optim.AdamW(groups, lr=5e-4, weight_decay=0.05)

    def step(self, crops: Sequence[Tensor], autocast: Callable[[], Any]) -> float:
        """Make one step, as `train_one_epoch` does without apex."""
        with autocast(), patch.object(Tensor, "cuda", lambda tensor: tensor.to(self.device)):
            loss = self.model(*crops[:2])
        self.optimizer.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(self.model.parameters(), 5.0)
        self.optimizer.step()
        value: float = loss.item()
        return value
