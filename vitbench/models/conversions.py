"""What some layouts store otherwise than we do: tensors split, joined, or under another number."""

import re

import torch
from torch import Tensor

State = dict[str, Tensor]
PARTS = ("query", "key", "value")


def join_qkv(state: State) -> State:
    """Join the three projections of each attention, as Hugging Face keeps them, to one."""
    joined: State = {}
    for name, value in state.items():
        if ".attn.key." in name or ".attn.value." in name:
            continue
        if ".attn.query." in name:
            parts = [state[name.replace(".query.", f".{part}.")] for part in PARTS]
            joined[name.replace(".attn.query.", ".attn.qkv.")] = torch.cat(parts)
        else:
            joined[name] = value
    return joined


def free_class_position(state: State) -> State:
    """Add the class token's position to the token, so that registers may stand behind it."""
    table = state["pos_embed"]
    moved = {"cls_token": state["cls_token"] + table[:, :1], "pos_embed": table[:, 1:]}
    return {**state, **moved}


def merge_after_stage(state: State) -> State:
    """Put timm's merging of patches, at the start of a stage, to the end of the one before."""

    def earlier(match: re.Match[str]) -> str:
        return f"layers.{int(match[1]) - 1}.downsample."

    return {re.sub(r"layers\.(\d+)\.downsample\.", earlier, key): v for key, v in state.items()}
