"""MAE: a decoder paints the patches that the backbone did not see."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from methods.settings import Mae
from vitbench.api import BackboneInfo
from vitbench.kit import (
    Branch,
    Objective,
    PatchMask,
    Progress,
    TermLoss,
    patch_tokens,
    single_precision,
)

GLOBAL = 0  # the group of the global crops; local ones are not looked at
EPS = 1e-6


class MaeObjective(Objective):
    """The term with its decoder; it needs no teacher and no head."""

    def __init__(self, settings: Mae, info: BackboneInfo) -> None:
        super().__init__()
        self.settings, self.patch_size = settings, info.patch_size
        width = settings.width
        self.widen = nn.Linear(info.embed_dim, width)
        self.mask_token = nn.Parameter(torch.randn(width) * 0.02)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, settings.heads, 4 * width, 0.0, "gelu", batch_first=True, norm_first=True
            )
            for _ in range(settings.depth)
        )
        self.norm = nn.LayerNorm(width)
        self.paint = nn.Linear(width, 3 * info.patch_size**2)

    def forward(self, student: Branch, teacher: Branch, progress: Progress) -> TermLoss:
        """See `Objective.forward`."""
        images = student.images(GLOBAL)
        mask = self._mask(student)
        hidden = mask.hidden.flatten(1)
        seen = patch_tokens(student.features(GLOBAL, mask))  # zeros where patches are hidden
        tokens = torch.where(hidden.unsqueeze(-1), self.mask_token.to(seen.dtype), self.widen(seen))
        grid = mask.hidden.shape[1]
        tokens = tokens + sine_positions(grid, self.settings.width).to(tokens)
        for block in self.blocks:
            tokens = block(tokens)
        painted = self.paint(self.norm(tokens))
        return TermLoss(painting_loss(painted, patch_pixels(images, self.patch_size), hidden))

    def _mask(self, student: Branch) -> PatchMask:
        """Hide the same share of the patches of every crop."""
        side = student.images(GLOBAL).shape[-1] // self.patch_size
        patches = side * side
        visible = max(1, int(patches * (1 - self.settings.hidden)))
        drawn = student.keyed_uniform("mae-mask", GLOBAL, count=patches)
        hidden = drawn.argsort(dim=1).argsort(dim=1) >= visible
        return PatchMask(hidden.view(-1, side, side))


def patch_pixels(images: Tensor, patch_size: int) -> Tensor:
    """Cut images (B, 3, H, W) into patches (B, N, pixels of a patch, times 3)."""
    side = images.shape[-1] // patch_size * patch_size
    patches = functional.unfold(images[..., :side, :side], patch_size, stride=patch_size)
    return patches.transpose(1, 2)


@single_precision
def painting_loss(painted: Tensor, pixels: Tensor, hidden: Tensor) -> Tensor:
    """Return the mean squared error over hidden patches, each patch normalized by itself.

    Args:
        painted: What the decoder says, shape (B, N, P).
        pixels: What is there, of the same shape.
        hidden: Which patches count, shape (B, N).
    """
    centered = pixels - pixels.mean(dim=-1, keepdim=True)
    wanted = centered / (pixels.var(dim=-1, keepdim=True) + EPS).sqrt()
    losses = (painted - wanted).square().mean(dim=-1)
    return (losses * hidden).sum() / hidden.sum()


def sine_positions(side: int, width: int) -> Tensor:
    """Return the fixed positions of a square grid, (side * side, width), half for each axis."""
    rates = 10000.0 ** -(torch.arange(width // 4, dtype=torch.float64) / (width // 4))
    angles = torch.arange(side, dtype=torch.float64)[:, None] * rates
    waves = torch.cat([angles.sin(), angles.cos()], dim=1)  # (side, width / 2)
    rows = waves[:, None].expand(-1, side, -1)
    columns = waves[None].expand(side, -1, -1)
    return torch.cat([columns, rows], dim=-1).flatten(0, 1)
