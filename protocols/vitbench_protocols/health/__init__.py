"""The health of frozen features, without labels: collapse, artifacts, leaking positions."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from vitbench.api import Context, DataKind, MetricSpec, Need, Outcome, Presets, setting

if TYPE_CHECKING:
    from vitbench.api import Backbone


def _described(
    name: str, label: str, unit: Literal["", "%"] = "", *, primary: bool = False
) -> MetricSpec:
    return MetricSpec(name, label, unit=unit, higher_is_better=None, primary=primary)


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Properties of features that need no labels: ranks, anisotropy, artifacts, invariances.

    None of them alone ranks one backbone above another.

    Image-level features of all images: RankMe (effective rank), alpha (how steeply the spectrum
    falls; 1 is thought best) and LiDAR (the rank that random views of an image leave). Patches,
    block by block: effective rank, anisotropy (mean cosine of two of them) and how well a linear
    map reads their place in the image. Artifacts are patches of the last block whose norm, before
    the final normalization, is a multiple of the median's: what registers take up.

    Source:
        Garrido et al., RankMe, ICML 2023. Agrawal et al., alpha-ReQ, NeurIPS 2022.
        Thilak et al., LiDAR, ICLR 2024. Darcet et al., Vision Transformers Need
        Registers, ICLR 2024.

    Differs:
        Artifacts lie above a multiple of the median norm, not above a number fixed by network.
        RankMe and LiDAR print the rank on a few hundred images: compare equal settings only.
    """

    name: ClassVar[str] = "health"
    version: ClassVar[int] = 1
    data: ClassVar[DataKind] = "classification"
    default_data: ClassVar[str] = "imagenet"
    splits: ClassVar[tuple[str, ...]] = ("val",)
    needs: ClassVar[frozenset[Need]] = frozenset({"backbone"})
    follows_resampling: ClassVar[bool] = True
    metrics: ClassVar[tuple[MetricSpec, ...]] = (
        _described("rankme", "RankMe", primary=True),
        _described("alpha", "alpha (spectrum's decay)"),
        _described("lidar", "LiDAR"),
        _described("patch_rank", "effective rank of patches"),
        _described("anisotropy", "anisotropy of patches", "%"),
        MetricSpec("artifacts", "high-norm patches", higher_is_better=False),
        _described("position", "position read from patches (R²)", "%"),
        MetricSpec("flip", "change by a flip", higher_is_better=False),
        MetricSpec("shift", "change by half a patch's shift", higher_is_better=False),
        MetricSpec("scale", "change by a zoom of 5/4", higher_is_better=False),
    )
    presets: ClassVar[Presets] = {
        "default": {},
        "small": {"images": 64, "view_images": 16, "views": 4},
    }
    preset_notes: ClassVar[Mapping[str, str]] = {
        "default": "ours: 512 images, and 10 views of 100 of them",
        "small": "ours: 64 images, and 4 views of 16 of them; seconds on a CPU",
    }
    examples: ClassVar[tuple[str, ...]] = (
        "vitbench eval health dino-vits16 --data imagenet",
        "vitbench eval health ckpt.pth --arch vit_small_patch16_224 --data synthetic",
    )

    images: int = setting(512, help="number of images, evenly spread over the split", minimum=4)
    patches: int = setting(
        16, help="patches of each image that block statistics are taken of, drawn", minimum=2
    )
    view_images: int = setting(100, help="number of images that LiDAR draws views of", minimum=2)
    views: int = setting(10, help="random views of each of these images", minimum=2)
    artifact_norm: float = setting(
        3.0, help="smallest norm of an artifact, as a multiple of the median norm", minimum=1.0
    )
    resize: int = setting(
        256, help="short side of an image before the center crop, in pixels", minimum=8
    )
    crop: int = setting(224, help="side of the center crop, in pixels", minimum=8)

    @property
    def image_size(self) -> tuple[int, int]:
        """Size (H, W) of every image that passes, in pixels."""
        return self.crop, self.crop

    def run(self, backbone: "Backbone", context: Context) -> Outcome:
        """Pass the images once, and measure."""
        from vitbench_protocols.health.running import examine  # imports torch

        return examine(self, backbone, context)
