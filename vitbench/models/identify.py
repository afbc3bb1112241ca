"""Which architecture weights have: shapes say nearly all, the rest is told and never guessed."""

from dataclasses import replace

from vitbench.errors import CheckpointError
from vitbench.models.architecture import Architecture, Shape, infer
from vitbench.models.assembly import find_architecture
from vitbench.models.backbone import AnyArchitecture
from vitbench.models.layout import Recognised
from vitbench.models.sources import Source
from vitbench.models.swin_architecture import NATIVE_PX, SwinArchitecture, infer_swin
from vitbench.models.timm_architecture import TimmArchitecture

SWIN = "layers.0.blocks.0.attn.relative_position_bias_table"
CHECKED = {  # what a named architecture and the shapes must agree on
    Architecture: ("patch_size", "embed_dim", "depth", "mlp_dim"),
    SwinArchitecture: ("patch_size", "embed_dim", "depths", "heads", "window"),
}


def identify(found: Recognised, source: Source, arch: str | None) -> tuple[AnyArchitecture, str]:
    """Return the architecture of recognised weights, and who said its heads.

    Args:
        found: The weights by our names.
        source: Where they come from, with what the manifest and the file say.
        arch: What the user says.

    Raises:
        CheckpointError: If the heads are unknown, or the name said is not that of these shapes.
        UnknownName: If nobody knows the name.
    """
    if source.facts.architecture is not None and arch is None:
        return source.facts.architecture, "the file"
    said = arch or (source.manifest.arch if source.manifest else None)
    wanted = find_architecture(said) if said else None
    if isinstance(wanted, TimmArchitecture):
        return wanted, "the architecture"
    shapes = {key: tuple(value.shape) for key, value in found.state.items()}
    told_eps = source.facts.norm_eps
    family = SwinArchitecture if SWIN in shapes else Architecture
    if wanted is not None and not isinstance(wanted, family):
        raise CheckpointError(
            f"{source.name}: the weights are not those of a {wanted.name}.",
            expected=wanted.describe(),
            found="a Swin Transformer" if SWIN in shapes else "a plain Vision Transformer",
            hint="links of published files are known to be swapped; name what it is by --arch",
        )
    if SWIN in shapes:
        inferred, heads_from = _swin(found, shapes, wanted, told_eps, source.name)
    else:
        inferred, heads_from = _vit(found, shapes, wanted, arch, source)
    if wanted is not None:
        _agree(inferred, wanted, source.name)
        inferred = replace(inferred, name=wanted.name)
    return inferred, heads_from


def _swin(
    found: Recognised,
    shapes: dict[str, Shape],
    wanted: AnyArchitecture | None,
    told_eps: float | None,
    name: str,
) -> tuple[AnyArchitecture, str]:
    native = wanted.image_px if isinstance(wanted, SwinArchitecture) else NATIVE_PX
    eps = told_eps if told_eps is not None else found.format.swin_norm_eps
    inferred = infer_swin(shapes, image_px=native, norm_eps=eps, name=name)
    sizes = f"d{inferred.embed_dim}_patch{inferred.patch_size}_window{inferred.window}_{native}"
    return replace(inferred, name=f"swin_{sizes}"), "the weights"


def _vit(
    found: Recognised,
    shapes: dict[str, Shape],
    wanted: AnyArchitecture | None,
    arch: str | None,
    source: Source,
) -> tuple[AnyArchitecture, str]:
    vit = wanted if isinstance(wanted, Architecture) else None
    inferred = infer(shapes, heads=1, name=source.name)
    said = (
        (vit.heads if vit and arch else None, f"--arch {arch}"),
        (source.manifest.heads if source.manifest else None, "the manifest"),
        (source.facts.heads, "the file"),
        (found.format.heads_of(inferred.embed_dim), "the format"),
    )
    heads, heads_from = next((pair for pair in said if pair[0] is not None), (None, ""))
    if heads is None:
        raise CheckpointError(
            f"{source.name}: the number of attention heads is not known.",
            expected="it to be said: weights do not tell (6 and 12 heads have the same shapes)",
            found="neither a manifest nor the file's own arguments",
            hint="--arch NAME, such as --arch vit_small_patch16_224 (6 heads of ViT-S)",
        )
    epsilons = (source.facts.norm_eps, found.format.norm_eps, vit.norm_eps if vit else None, 1e-6)
    eps = next(value for value in epsilons if value is not None)
    name = f"vit_d{inferred.embed_dim}_patch{inferred.patch_size}"
    return replace(inferred, heads=heads, norm_eps=eps, name=name), heads_from


def _agree(inferred: AnyArchitecture, wanted: AnyArchitecture, name: str) -> None:
    facts = CHECKED[type(inferred)]
    wrong = [fact for fact in facts if getattr(inferred, fact) != getattr(wanted, fact)]
    if wrong:
        raise CheckpointError(
            f"{name}: the weights are not those of a {wanted.name}.",
            expected=", ".join(f"{fact} {getattr(wanted, fact)}" for fact in wrong),
            found=", ".join(f"{fact} {getattr(inferred, fact)}" for fact in wrong),
            hint="name the architecture that the weights have by --arch",
        )
