"""timm's transformer block, whose residual branches are added by ours."""

from timm.models import vision_transformer
from torch import Tensor

from vitbench.models.residual import add_branch


class Block(vision_transformer.Block):
    """A block of a Vision Transformer."""

    def forward(self, x: Tensor, *_: object, **__: object) -> Tensor:
        """Map tokens (B, T, D); attention masks, which timm could take, are never given."""
        x = add_branch(x, self.ls1(self.attn(self.norm1(x))), self.drop_path1)
        return add_branch(x, self.ls2(self.mlp(self.norm2(x))), self.drop_path2)
