"""A small network that knows something, made on the spot: supervised, on the built-in data."""

import shutil
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from vitbench.data.dataset import open_dataset
from vitbench.data.synthetic import NAME
from vitbench.data.transforms import Normalization, to_pixels
from vitbench.keyed_random import permutation
from vitbench.models.export import save_backbone
from vitbench.models.timm_backbone import build_backbone
from vitbench.training.loop import Loop, Task

ARCH = "vit_micro_patch8_64"
STEPS = 800  # about a minute on two CPU cores
BATCH = 50
RATE, WARMUP, DECAY, CLIP = 2e-3, 60, 0.05, 1.0
SHIFT = 8  # pixels

Progress = Callable[[str, int, int], None]


def train_supervised(
    path: Path, *, steps: int = STEPS, seed: int = 0, progress: Progress | None = None
) -> None:
    """Train a small Vision Transformer on the built-in classes, and write it as a checkpoint.

    Both its class token and its mean patch learn to name the class, so that patches are worth
    something too. Images are turned, mirrored and shifted. Stopped or killed, it goes on from its
    last snapshot.

    Args:
        path: The checkpoint, safetensors with all facts in its metadata.
        steps: Of AdamW, on batches of 50; the learning rate falls to 0.
        seed: Of weights, order and shifts.
        progress: Told what is done, the step and the number of steps.
    """
    folder = path.with_name(f"{path.stem}-seed{seed}-steps{steps}")
    task = _Supervised(steps, seed, progress or (lambda *_: None))
    Loop(task, output=folder, scratch=folder).run()
    save_backbone(task.backbone, path, method="supervised")
    shutil.rmtree(folder)


class _Supervised(Task[Tensor]):
    """A backbone and two heads that name the class; a batch is the rows of its images."""

    def __init__(self, steps: int, seed: int, progress: Progress) -> None:
        dataset = open_dataset(NAME, "classification", "train", progress=progress)
        pixels = [to_pixels(dataset[index].image) for index in range(len(dataset))]
        self.images, self.labels = torch.stack(pixels), torch.tensor(dataset.targets)
        self.backbone = build_backbone(ARCH, seed=seed).train()
        width = self.backbone.info.embed_dim
        self.network = nn.ModuleList([self.backbone, _zero_head(width), _zero_head(width)])
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=RATE, betas=(0.9, 0.99), weight_decay=DECAY
        )
        self.step, self.device, self.seed = 0, torch.device("cpu"), seed
        self._steps, self._progress = steps, progress

    @property
    def steps(self) -> int:
        """See `Task.steps`."""
        return self._steps

    @property
    def batch_size(self) -> int:
        """See `Task.batch_size`."""
        return BATCH

    def batches(self) -> Generator[Tensor]:
        """See `Task.batches`."""
        for step in range(self.step, self.steps):
            epoch, place = divmod(step, len(self.images) // BATCH)
            order = permutation(self.seed, "supervised", epoch, length=len(self.images))
            yield torch.from_numpy(order[place * BATCH :][:BATCH])

    def train_step(self, batch: Tensor) -> Mapping[str, Tensor]:
        """See `Task.train_step`."""
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate(self.step)
        info = self.backbone.info
        images = _moved(self.images[batch], self.step, self.seed)
        (features,) = self.backbone(Normalization(info.mean, info.std)(images))
        vectors = (features.pooled, features.patches.mean(dim=(2, 3)))
        losses = [
            cross_entropy(head(vector), self.labels[batch])
            for head, vector in zip(self.network[1:], vectors, strict=True)
        ]
        self.optimizer.zero_grad()
        torch.autograd.backward(losses)
        nn.utils.clip_grad_norm_(self.network.parameters(), CLIP)
        self.optimizer.step()
        self.step += 1
        self._progress("training a small supervised network", self.step, self.steps)
        return {"loss": torch.stack(losses).detach().sum()}

    def log_values(self) -> Mapping[str, Any]:
        """See `Task.log_values`."""
        return {"learning_rate": self._rate(self.step - 1)}

    def state_dict(self) -> dict[str, Any]:
        """See `Task.state_dict`."""
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See `Task.load_state_dict`."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]

    def memory_advice(self) -> tuple[str, str]:
        """See `Task.memory_advice`."""
        return f"room for {BATCH} images of 64 px", "end what else computes on this machine"

    def _rate(self, step: int) -> float:
        return RATE * min(1.0, (step + 1) / WARMUP) * (1 - step / self.steps)


def _zero_head(dim: int) -> nn.Linear:
    head = nn.Linear(dim, 10, device="meta").to_empty(device="cpu")
    for parameter in head.parameters():
        nn.init.zeros_(parameter)
    return head


def _moved(images: Tensor, step: int, seed: int) -> Tensor:
    """Turn and mirror a batch, another way in each of eight steps, and shift it."""
    turned = torch.rot90(images, step % 4, (2, 3))
    mirrored = turned.flip(3) if step % 8 > 3 else turned
    down, right = np.random.default_rng((seed, step)).integers(-SHIFT, SHIFT + 1, 2).tolist()
    return mirrored.roll((down, right), (2, 3))
