"""Conversions of weights that layouts store in another form: split, joined, or renumbered."""

import re

import torch
from torch import Tensor

State = dict[str, Tensor]
QUERY_OR_VALUE = re.compile(r"\.([qv])_proj\.bias$")
PARTS = ("query", "key", "value")


def join_qkv(state: State) -> State:
    """Join the three projections of each attention, as Hugging Face keeps them, to one."""
    joined: State = {}
    for name, value in state.items():
        if ".attn.key." in name or ".attn.value." in name:
            continue
        if ".attn.query." in name:
            parts = [_part(state, name, part) for part in PARTS]
            joined[name.replace(".attn.query.", ".attn.qkv.")] = torch.cat(parts)
        else:
            joined[name] = value
    return joined


def _part(state: State, query: str, part: str) -> Tensor:
    """Return a projection's tensor beside the query's; keys without a bias have a bias of 0."""
    name = query.replace(".query.", f".{part}.")
    if part == "key" and name.endswith(".bias") and name not in state:
        return torch.zeros_like(state[query])
    return state[name]


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


def join_projections(state: State) -> State:
    """Join `q_proj`, `k_proj` and `v_proj` of each attention to one."""
    joined: State = {}
    for name, value in state.items():
        if ".attn.k_proj." in name or ".attn.v_proj." in name:
            continue
        if ".attn.q_proj." in name:
            parts = [state[name.replace(".q_proj.", f".{part}_proj.")] for part in "qkv"]
            joined[name.replace(".attn.q_proj.", ".attn.qkv.")] = torch.cat(parts)
        else:
            joined[name] = value
    return joined


def join_query_value(state: State) -> State:
    """Join the projections of each attention whose keys have no bias."""
    weights = join_projections({k: v for k, v in state.items() if not QUERY_OR_VALUE.search(k)})
    biases = {
        QUERY_OR_VALUE.sub(r".\1_bias", name): value
        for name, value in state.items()
        if QUERY_OR_VALUE.search(name)
    }
    return {**weights, **biases}


def biases_of_query_and_value(state: State) -> State:
    """Split the bias of each attention whose keys have none, or one that is masked."""
    split: State = {}
    for name, value in state.items():
        if name.endswith(".attn.qkv.bias"):
            query, _, value_ = value.chunk(3)
            split[name.replace(".qkv.bias", ".q_bias")] = query.clone()
            split[name.replace(".qkv.bias", ".v_bias")] = value_.clone()
        else:
            split[name] = value
    return split


def add_leading(state: State) -> State:
    """Give the class token and the positional table the leading dimensions that timm has."""
    token, table = state.get("cls_token"), state["pos_embed"]
    shaped = {} if token is None else {"cls_token": token.reshape(1, 1, -1)}
    return {**state, **shaped, "pos_embed": table.reshape(1, *table.shape[-2:])}


def key_and_value(state: State) -> State:
    """Part the joined projection of an attention pooling into its query and the other two."""
    parted = {
        name: value for name, value in state.items() if ".qkv." not in name or "blocks" in name
    }
    for kind in ("weight", "bias"):
        query, key, value = state[f"attn_pool.qkv.{kind}"].chunk(3)
        parted[f"attn_pool.q.{kind}"] = query.clone()
        parted[f"attn_pool.kv.{kind}"] = torch.cat([key, value])
    return parted


def tokens_of_linear_patches(state: State) -> State:
    """Turn a linear layer over the pixels of a patch (rows, columns, RGB) into a convolution."""
    weight = state["patch_embed.proj.weight"]
    if weight.ndim != 2:
        return state
    side = round((weight.shape[1] / 3) ** 0.5)
    kernel = weight.reshape(-1, side, side, 3).permute(0, 3, 1, 2).contiguous()
    return {**state, "patch_embed.proj.weight": kernel}


def name_gate(state: State) -> State:
    """Name the first projection of each MLP by whether the MLP has a gate."""
    gated = any(".mlp.fc1_g." in name for name in state)
    first = ".mlp.fc1_x." if gated else ".mlp.fc1."
    return {name.replace(".mlp.up_proj.", first): value for name, value in state.items()}
