"""The family of weights that are no plain ViT or Swin, by their keys: for helpful errors."""

import re
from collections.abc import Collection, Mapping
from typing import Any

from vitbench.models.weight_places import dictionaries, tensors_of

PLAIN = "the weights of a plain Vision Transformer (DINO, DINOv2, MAE, DeiT, …) or of a Swin"
PLAIN_HINT = "--arch NAME with timm's name of the network: vitbench list architectures PATTERN"
HINTS = {  # what else must be said of weights of a family
    "CLIP": "--arch vit_base_patch32_clip_224 or another size (vitbench list architectures clip),"
    " vit_base_patch32_clip_quickgelu_224 for OpenAI's activation, of which open_clip's files say"
    " nothing; and --mean 0.4815 0.4578 0.4082 --std 0.2686 0.2613 0.2758"
}

# (family, patterns of key ends or parts; one hit each is needed), the narrower before the wider
FAMILIES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("DINOv3", (r"rope_embed\.periods$|attn\.qkv\.bias_mask$|storage_tokens$",)),
    ("DINOv3", (r"^(model\.)?layer\.\d+\.attention\.q_proj\.", r"layer_scale1\.lambda1$")),
    ("SigLIP", (r"attn_pool\.latent$|vision_model\.head\.(attention|probe)",)),
    ("CLIP", (r"(^|visual\.)transformer\.resblocks\.|vision_model\.pre_layrnorm\.|^norm_pre\.",)),
    ("open_clip (a network of timm under visual.trunk)", (r"^visual\.trunk\.",)),
    ("CaiT", (r"^blocks_token_only\.",)),
    ("XCiT", (r"blocks\.\d+\.local_mp\.|blocks\.\d+\.gamma3$",)),
    ("Swin Transformer V2", (r"attn\.(cpb_mlp\.|logit_scale$)",)),
    ("BEiT", (r"(?<!layers\.\d\.)blocks\.\d\.attn\.relative_position_bias|^rel_pos_bias\.",)),
    ("EVA", (r"attn\.(inner_attn_ln|rope|q_bias)|(^|\.)rope\.freqs|mlp\.(ffn_ln|w1|w3)\.",)),
    ("BEiT", (r"beit\.(embeddings|encoder)\.|lambda_1$",)),
    ("DINOv2's giant (SwiGLU in its blocks)", (r"mlp\.(w12|weights_in)\.",)),
    ("distilled DeiT", (r"(^|\.)dist_token$|distillation_token$",)),
    ("torchvision's ViT", (r"^encoder\.layers\.encoder_layer_0\.",)),
    ("Hiera or MViT", (r"blocks\.\d+\.attn\.(pool_|rel_pos_)|^pos_embed_(spatial|win)",)),
    ("ConvNeXt", (r"(stages|downsample_layers)\.\d+\..*(conv_dw|dwconv|pwconv)",)),
    ("a ResNet", (r"(^|\.)layer[1-4]\.0\.conv1\.weight$",)),
)  # fmt: skip


def family_of(content: Mapping[str, Any]) -> str:
    """Return the family of the weights anywhere in a file; empty if it is not known."""
    return family_of_keys(
        [key for _, mapping in dictionaries(content) for key in tensors_of(mapping)]
    )


def family_of_keys(keys: Collection[str]) -> str:
    """Return the family that has such keys; empty if it is not known."""
    for family, signs in FAMILIES:
        if all(any(re.search(sign, key) for key in keys) for sign in signs):
            return family
    return ""


def hint_for(family: str) -> str:
    """Return the flags that load weights of a family."""
    return HINTS.get(family, PLAIN_HINT)
