"""Raw pixels as a backbone: the floor that any features should beat."""

import torch

from vitbench.models.architecture import Architecture
from vitbench.models.state_dict import State

GRID = (14, 14)  # nothing depends on it: there are no positions


def pixel_weights(patch_px: int) -> tuple[Architecture, State]:
    """Return a Vision Transformer, with its weights, whose patch tokens are the patches' pixels.

    Each entry of a token is one channel of one normalized pixel. The single block adds zeros.

    Args:
        patch_px: Pixels of a patch's sides.
    """
    dim = 3 * patch_px * patch_px
    architecture = Architecture(
        name=f"pixels_patch{patch_px}",
        patch_size=patch_px,
        embed_dim=dim,
        depth=1,
        heads=1,
        mlp_dim=1,
        grid=GRID,
        cls_token=False,
        positions=False,
        prefix_positions=False,
        final_norm=False,
    )
    shapes = {
        "norm1.weight": (dim,),
        "norm1.bias": (dim,),
        "attn.qkv.weight": (3 * dim, dim),
        "attn.qkv.bias": (3 * dim,),
        "attn.proj.weight": (dim, dim),
        "attn.proj.bias": (dim,),
        "norm2.weight": (dim,),
        "norm2.bias": (dim,),
        "mlp.fc1.weight": (1, dim),
        "mlp.fc1.bias": (1,),
        "mlp.fc2.weight": (dim, 1),
        "mlp.fc2.bias": (dim,),
    }
    block = {f"blocks.0.{name}": torch.zeros(shape) for name, shape in shapes.items()}
    identity = torch.eye(dim).view(dim, 3, patch_px, patch_px)
    bias = torch.zeros(dim)
    embedding = {"patch_embed.proj.weight": identity, "patch_embed.proj.bias": bias}
    return architecture, {**embedding, **block}
