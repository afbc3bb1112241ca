"""Which of its eight neighbors a patch is trained towards: tables, similarities and rules."""

import torch
from torch import Tensor
from torch.nn import functional

from vitbench.errors import SettingError
from vitbench.models.kept import kept
from vitbench.objectives.precision import single_precision
from vitbench.objectives.settings import Rule

CPU = torch.device("cpu")
FORWARD = ((0, 1), (1, -1), (1, 0), (1, 1))  # the other four neighbors are their opposites
OFFSETS = (*((-row, -column) for row, column in reversed(FORWARD)), *FORWARD)  # row by row


@kept
def neighbor_table(
    h: int, w: int, *, wrap: bool = True, device: torch.device = CPU
) -> tuple[Tensor, Tensor]:
    """List the eight neighbors of every patch of a grid, and which of them exist.

    Args:
        h: Rows of the grid, at least 3.
        w: Columns of the grid, at least 3.
        wrap: Treat opposite borders as adjacent, as the reference does.
        device: Where the table lies.

    Returns:
        Flat indices of shape (h*w, 8), from the upper left neighbor row by row, and a mask of
        the same shape: True where the neighbor exists (everywhere, with `wrap`).

    Raises:
        SettingError: If the grid is too small for eight different neighbors.

    Source:
        alinlab/SelfPatch, selfpatch_vision_transformer.py, SelfPatchHead.get_local_index (81aef14).

    Differs:
        Any grid; the reference knows 14x14 and 6x6 only.

    Example:
        >>> neighbor_table(4, 4)[0][0].tolist()
        [15, 12, 13, 3, 1, 7, 4, 5]
    """
    if min(h, w) < 3:
        raise SettingError(
            [f"a grid of {h} x {w} patches has no eight different neighbors; 3 x 3 is the least"],
            hint="train with larger crops or smaller patches",
        )
    place = torch.arange(len(OFFSETS), device=device)
    place = place + (place >= len(OFFSETS) // 2)  # of 3 x 3: all but the middle, as OFFSETS
    down, right = place // 3 - 1, place % 3 - 1
    rows = torch.arange(h, device=device).view(h, 1, 1) + down
    columns = torch.arange(w, device=device).view(1, w, 1) + right
    exists = (rows >= 0) & (rows < h) & (columns >= 0) & (columns < w)
    index = (rows % h) * w + columns % w
    return index.flatten(0, 1), (exists | wrap).flatten(0, 1)


@single_precision
def neighbor_similarities(patches: Tensor) -> Tensor:
    """Return the cosine between each patch and its eight neighbors on the torus.

    A pair of patches is multiplied once and read from both sides.

    Args:
        patches: Patch tokens on their grid, shape (B, D, h, w).

    Returns:
        Shape (B, h*w, 8), in the order of `neighbor_table`.
    """
    unit = functional.normalize(patches.permute(0, 2, 3, 1), dim=-1)  # (B, h, w, D)
    ahead = [
        (unit * unit.roll((-row, -column), (1, 2))).sum(-1) for row, column in FORWARD
    ]  # (B, h, w) each
    behind = [
        cosine.roll((row, column), (1, 2))
        for cosine, (row, column) in zip(ahead, FORWARD, strict=True)
    ]
    return torch.stack([*reversed(behind), *ahead], dim=-1).flatten(1, 2)


def choose_positives(
    patches: Tensor, *, rule: Rule, k: int, wrap: bool, truth: Tensor | None = None
) -> tuple[Tensor, Tensor | None]:
    """Choose the neighbors that a patch is trained towards.

    Args:
        patches: The teacher's patch tokens on their grid, shape (B, D, h, w).
        rule: `topk`: the k most similar neighbors. `threshold`: those at least as similar as
            two adjacent patches of this image are on average, so flat regions have many and
            edges few. `ground-truth`: those that `truth` marks. The last two fall back to the
            most similar neighbor where none qualifies.
        k: Neighbors kept by `topk`, 1 to 8. Without `wrap` a border patch may have fewer.
        wrap: Treat opposite borders as adjacent.
        truth: Neighbors with the same label, shape (B, h*w, 8), in the order of the table.

    Returns:
        Indices of patches, shape (B, h*w, k or 8), and a mask of those that count, or None if
        all do. Equal similarities keep row-major order, so the choice is the same everywhere.

    Source:
        Yun et al., SelfPatch, CVPR 2022, section 3.2 (`topk`) and supplementary G (the others,
        which it names without a definition: these are ours).
    """
    table, exists = neighbor_table(*patches.shape[-2:], wrap=wrap, device=patches.device)
    likeness = neighbor_similarities(patches)
    if not wrap:
        likeness = likeness.masked_fill(~exists, -torch.inf)
    order = likeness.argsort(dim=-1, descending=True, stable=True)
    index = table.expand(len(patches), -1, -1)
    if rule == "topk":
        chosen = order[..., :k]
        keep = None if wrap else exists.expand_as(index).gather(-1, chosen)
        return index.gather(-1, chosen), keep
    if rule == "threshold":
        usual = likeness.masked_fill(~exists, 0).sum((1, 2)) / (exists.sum() * 1.0)
        keep = likeness >= usual.view(-1, 1, 1)
    else:
        keep = truth & exists if truth is not None else torch.zeros_like(index, dtype=torch.bool)
    nearest = functional.one_hot(order[..., 0], likeness.shape[-1]).bool()
    return index, keep | (nearest & ~keep.any(-1, keepdim=True))
