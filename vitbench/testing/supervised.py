"""A small network that knows something, made on the spot: supervised, on the built-in data."""

from collections.abc import Callable
from pathlib import Path

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
    something too. Images are turned, mirrored and shifted.

    Args:
        path: The checkpoint, safetensors with all facts in its metadata.
        steps: Of AdamW, on batches of 50; the learning rate falls to 0.
        seed: Of weights, order and shifts.
        progress: Told what is done, the step and the number of steps.
    """
    dataset = open_dataset(NAME, "classification", "train", progress=progress)
    images = torch.stack([to_pixels(dataset[index].image) for index in range(len(dataset))])
    labels = torch.tensor(dataset.targets)
    backbone = build_backbone(ARCH, seed=seed).train()
    normalize = Normalization(backbone.info.mean, backbone.info.std)
    heads = nn.ModuleList(_zero_head(backbone.info.embed_dim, 10) for _ in range(2))
    parameters = [*backbone.parameters(), *heads.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=RATE, betas=(0.9, 0.99), weight_decay=DECAY)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1.0, (step + 1) / WARMUP) * (1 - step / steps)
        epoch, place = divmod(step, len(images) // BATCH)
        order = permutation(seed, "supervised", epoch, length=len(images))
        rows = torch.from_numpy(order[place * BATCH :][:BATCH])
        (features,) = backbone(normalize(_moved(images[rows], step, seed)))
        vectors = (features.pooled, features.patches.mean(dim=(2, 3)))
        losses = [
            cross_entropy(head(vector), labels[rows])
            for head, vector in zip(heads, vectors, strict=True)
        ]
        optimizer.zero_grad()
        torch.autograd.backward(losses)
        nn.utils.clip_grad_norm_(parameters, CLIP)
        optimizer.step()
        if progress is not None:
            progress("training a small supervised network", step + 1, steps)
    save_backbone(backbone, path, method="supervised")


def _zero_head(dim: int, classes: int) -> nn.Linear:
    head = nn.Linear(dim, classes, device="meta").to_empty(device="cpu")
    for parameter in head.parameters():
        nn.init.zeros_(parameter)
    return head


def _moved(images: Tensor, step: int, seed: int) -> Tensor:
    """Turn and mirror a batch, another way in each of eight steps, and shift it."""
    turned = torch.rot90(images, step % 4, (2, 3))
    mirrored = turned.flip(3) if step % 8 > 3 else turned
    down, right = np.random.default_rng((seed, step)).integers(-SHIFT, SHIFT + 1, 2).tolist()
    return mirrored.roll((down, right), (2, 3))
