"""The architecture of weights: mostly from shapes, the rest from facts, never guessed."""

import math
from collections.abc import Mapping
from dataclasses import replace

from vitbench.errors import CheckpointError
from vitbench.models.architecture import Architecture, Shape, infer
from vitbench.models.backbone import AnyArchitecture
from vitbench.models.constants import VIT_SIZES
from vitbench.models.factory import assemble, find_architecture
from vitbench.models.locate import Source
from vitbench.models.recognize_format import Recognized
from vitbench.models.state_dict import check_complete
from vitbench.models.swin_architecture import SwinArchitecture, infer_swin, native_px
from vitbench.models.timm_architecture import TimmArchitecture
from vitbench.models.timm_families import HEAD, Known

SWIN = "layers.0.blocks.0.attn.relative_position_bias_table"
CHECKED = {  # what a named architecture and the shapes must agree on
    Architecture: ("patch_size", "embed_dim", "depth", "mlp_dim"),
    SwinArchitecture: ("patch_size", "embed_dim", "depths", "heads", "window"),
}
Ours = Architecture | SwinArchitecture
Told = tuple[Ours, tuple[str, ...]]  # an architecture, and lines on who said its facts


def infer_architecture(
    found: Recognized,
    source: Source,
    arch: str | None,
    *,
    heads: int | None = None,
    native: int | None = None,
) -> tuple[AnyArchitecture, tuple[str, ...]]:
    """Return the architecture of weights, and lines on who said the facts that shapes do not tell.

    Args:
        found: The weights by our names.
        source: Where they come from, with what the manifest and the file say.
        arch: The architecture's name, if the user says it.
        heads: Attention heads of a ViT, if the user says them; they overrule all else.
        native: Image size in pixels that a Swin was made for, likewise.

    Raises:
        CheckpointError: If the heads or a Swin's native size are unknown, two that should know the
            heads disagree, or the name said is not that of these shapes.
        StateMismatch: If the weights are those of no plain ViT or Swin.
        UnknownName: If nobody knows the name.
    """
    facts = source.facts
    said = arch or (source.manifest.arch if source.manifest else facts.arch)
    wanted = find_architecture(said) if said else None
    network = wanted or facts.architecture
    if isinstance(network, TimmArchitecture):
        return network, ()
    shapes = {key: tuple(value.shape) for key, value in found.state.items()}
    if found.format.network is not None:
        return _timms(found, shapes, source, wanted, heads)
    family = SwinArchitecture if SWIN in shapes else Architecture
    if wanted is not None and not isinstance(wanted, family):
        raise CheckpointError(
            f"{source.name}: the weights are not those of a {wanted.name}.",
            expected=wanted.describe(),
            found="a Swin Transformer" if SWIN in shapes else "a plain Vision Transformer",
            hint="links of published files are known to be swapped; name what it is by --arch",
        )
    if facts.arch and arch and wanted:
        told_too = find_architecture(facts.arch)
        _agree(told_too, wanted, (*CHECKED[type(told_too)], "heads"), source.name)
    own = facts.architecture
    if isinstance(own, TimmArchitecture):
        raise CheckpointError(
            f"{source.name}: the weights are not those of a {said}.",
            expected=own.describe(),
            hint="leave --arch out: the file knows",
        )
    if own is not None and heads is None and native is None:
        if wanted is not None:
            _agree(own, wanted, (*CHECKED[family], "heads"), source.name)
            own = replace(own, name=wanted.name)
        return own, (f"{own.heads} heads, from the file",)
    if SWIN in shapes:
        swin = wanted if isinstance(wanted, SwinArchitecture) else None
        inferred, told = _swin(found, shapes, swin, source, native)
    else:
        vit = wanted if isinstance(wanted, Architecture) else None
        inferred, told = _vit(found, shapes, vit, source, arch, heads)
    return (replace(inferred, name=wanted.name) if wanted else inferred), told


def _timms(
    found: Recognized,
    shapes: Mapping[str, Shape],
    source: Source,
    wanted: AnyArchitecture | None,
    heads: int | None,
) -> tuple[TimmArchitecture, tuple[str, ...]]:
    """Return the network of timm that a layout belongs to."""
    layout, facts = found.format, source.facts
    assert layout.network is not None
    if wanted is not None:
        raise CheckpointError(
            f"{source.name}: the weights are not those of a {wanted.name}.",
            expected=wanted.describe(),
            found=layout.about,
            hint="leave --arch out: the layout tells the network",
        )
    dim = found.state["patch_embed.proj.weight"].shape[0]
    number, who = next(
        (number, who)
        for number, who in (
            (heads, "--num-heads"),
            (facts.heads, facts.heads_from),
            (dim // HEAD, f"{HEAD} channels a head, as published networks of this layout have"),
        )
        if number is not None
    )
    if not number or dim % number:
        raise CheckpointError(
            f"{source.name}: weights {dim} wide can't have {number} heads.",
            expected="a number that divides the width",
            found=f"{number} heads, from {who}",
            hint="--num-heads N",
        )
    eps = (facts.norm_eps, layout.norm_eps, 1e-6)
    known = Known(
        heads=number,
        norm_eps=next(value for value in eps if value is not None),
        activation=facts.activation or layout.activation or "gelu",
    )
    try:
        return layout.network(shapes, known), (f"{number} heads, from {who}",)
    except (IndexError, KeyError, StopIteration, ValueError) as error:
        raise CheckpointError(
            f"{source.name}: these are not the weights of {layout.about}.",
            expected="all of its parts",
            found=f"{type(error).__name__}: {error}",
            hint="download it again, or --arch with timm's name of the network",
        ) from error


def _swin(
    found: Recognized,
    shapes: Mapping[str, Shape],
    wanted: SwinArchitecture | None,
    source: Source,
    native: int | None,
) -> Told:
    eps = source.facts.norm_eps
    inferred = infer_swin(
        shapes,
        image_px=1,  # settled below
        norm_eps=found.format.swin_norm_eps if eps is None else eps,
        name=source.name,
    )
    if wanted:
        _agree(inferred, wanted, CHECKED[SwinArchitecture], source.name)
    native, who = _native(found, shapes, wanted, source.name, native, source.facts.native_px)
    sizes = f"d{inferred.embed_dim}_patch{inferred.patch_size}_window{inferred.window}_{native}"
    inferred = replace(inferred, image_px=native, name=f"swin_{sizes}")
    heads = ", ".join(map(str, inferred.heads))
    return inferred, (f"{heads} heads, from the weights", f"native size {native} px, from {who}")


def _native(
    found: Recognized,
    shapes: Mapping[str, Shape],
    wanted: SwinArchitecture | None,
    name: str,
    flag: int | None,
    facts_px: int | None,
) -> tuple[int, str]:
    """Return the image size that a Swin was made for, and who says it."""
    if flag is not None:
        return flag, "--native-px"
    if facts_px is not None:
        return facts_px, "the file"
    native, who = native_px(shapes, found.derived)
    if wanted and who and _windows(wanted) != _windows(replace(wanted, image_px=native)):
        raise CheckpointError(
            f"{name}: the weights are not those of a {wanted.name}.",
            expected=f"images of {wanted.image_px} px",
            found=f"images of {native} px, by {who}",
            hint="--arch with that image size at its end",
        )
    if wanted:
        return wanted.image_px, f"the name {wanted.name}"
    if not who:
        raise CheckpointError(
            f"{name}: the image size that this Swin Transformer was made for is not known.",
            expected="it to be said: it decides which windows shift, and weights do not tell it",
            found="no masks of windows in the file, and tables of one size",
            hint=f"--arch swin_tiny_patch4_window7_224, or --native-px {native} (the size at which "
            "the last stage is one window, as published models have it)",
        )
    return native, who


def _windows(swin: SwinArchitecture) -> list[int]:
    """Return the windows along a side of each stage: what the native size decides."""
    return [math.ceil(grid / swin.window) for grid in swin.grids]


def _vit(
    found: Recognized,
    shapes: Mapping[str, Shape],
    wanted: Architecture | None,
    source: Source,
    arch: str | None,
    heads: int | None,
) -> Told:
    inferred = infer(shapes, heads=1, name=source.name)
    eps = (source.facts.norm_eps, found.format.norm_eps, wanted.norm_eps if wanted else None, 1e-6)
    inferred = replace(
        inferred,
        norm_eps=next(value for value in eps if value is not None),
        activation=source.facts.activation or (wanted.activation if wanted else "gelu"),
        name=f"vit_d{inferred.embed_dim}_patch{inferred.patch_size}",
    )
    if wanted:
        _agree(inferred, wanted, CHECKED[Architecture], source.name)
    number, who = _heads(found, inferred, wanted, source, arch, heads)
    if inferred.embed_dim % number:
        raise CheckpointError(
            f"{source.name}: weights {inferred.embed_dim} wide can't have {number} heads.",
            expected="a number that divides the width",
            found=f"{number} heads, from {who}",
            hint="--num-heads N",
        )
    return replace(inferred, heads=number), (f"{number} heads, from {who}",)


def _heads(
    found: Recognized,
    inferred: Architecture,
    wanted: Architecture | None,
    source: Source,
    arch: str | None,
    heads: int | None,
) -> tuple[int, str]:
    """Return the attention heads of a ViT and who says them; contradicting sources are named."""
    manifest, facts = source.manifest, source.facts
    name = arch or facts.arch
    sayings = (
        (heads, "--num-heads"),
        (manifest.heads if manifest else None, "the manifest"),
        (found.format.heads_of(inferred.embed_dim), f"the format {found.format.name}"),
        (facts.heads, facts.heads_from),
        (
            wanted.heads if wanted and name else None,
            f"--arch {arch}" if arch else f"the name {name}",
        ),
    )
    known = [(number, who) for number, who in sayings if number is not None]
    if not known:
        _account_for_keys(found, inferred, source.name)
        raise CheckpointError(
            f"{source.name}: the number of attention heads is not known.",
            expected="it to be said: weights do not tell (6 and 12 heads have the same shapes)",
            found="neither a manifest nor the file's own arguments",
            hint=_likely_name(inferred),
        )
    number, who = known[0]
    others = [f"{other} by {speaker}" for other, speaker in known[1:] if other != number]
    if others and heads is None and arch and known[-1][0] != number:
        raise CheckpointError(
            f"{source.name}: {arch} has {known[-1][0]} attention heads, these weights {number}.",
            expected=f"{number} heads, from {who}",
            found=others[-1],
            hint=f"leave --arch out, or --num-heads {known[-1][0]} if you know better",
        )
    return number, who + (f" (not {', '.join(others)})" if others else "")


def _likely_name(inferred: Architecture) -> str:
    """Name the architecture that published weights of this width and depth mostly have."""
    for size, (width, depth, heads) in VIT_SIZES.items():
        if (width, depth) == (inferred.embed_dim, inferred.depth):
            name = f"vit_{size}_patch{inferred.patch_size}_224"
            return f"--arch {name}, if its {heads} heads are right; else --num-heads N"
    return "--num-heads N, or --arch NAME (vitbench list architectures PATTERN)"


def _account_for_keys(found: Recognized, inferred: Architecture, name: str) -> None:
    """Check that the weights are those of a plain ViT, before asking for its heads."""
    expected = assemble(replace(inferred, heads=1)).own_state()
    check_complete(found.state, expected, subject=name, where=found.where)


def _agree(
    inferred: AnyArchitecture, wanted: AnyArchitecture, facts: tuple[str, ...], name: str
) -> None:
    wrong = [fact for fact in facts if getattr(inferred, fact) != getattr(wanted, fact)]
    if wrong:
        raise CheckpointError(
            f"{name}: the weights are not those of a {wanted.name}.",
            expected=", ".join(f"{fact} {getattr(wanted, fact)}" for fact in wrong),
            found=", ".join(f"{fact} {getattr(inferred, fact)}" for fact in wrong),
            hint="name the architecture that the weights have by --arch",
        )
