"""DAVIS: follow objects through videos with frozen features, and score the masks by J and F."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from vitbench.api import (
    Context,
    DataKind,
    Dataset,
    MetricSpec,
    Need,
    Normalization,
    Outcome,
    Presets,
    errors,
    setting,
)
from vitbench.kit import Clip, distributed
from vitbench_protocols.davis.scores import (
    METRICS,
    ClipScores,
    split_name,
    summarize,
    write_csv,
    write_frames,
)

if TYPE_CHECKING:
    from vitbench.api import Backbone
    from vitbench_protocols.davis.propagate import Rules

DINO_2021 = {
    "size_rule": "floor-64",
    "input_std": "dino-2021",
    "count_objects": "grid",
    "void": "refuse",
}
CRW = {
    "k": 10,
    "context_frames": 20,
    "temperature": 0.05,
    "window": "circle",
    "window_on_first": False,
    "keep_ties": False,
    "repeat_first": True,
    "size_rule": "native",
    "shrink_mask": "bilinear",
    "stretch": "none",
    "input_std": "imagenet",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Davis:
    """Video object segmentation by nearest neighbors between patch features, scored by J&F.

    The mask of the first frame is carried to the later ones: each patch takes the labels of the
    patches of earlier frames whose features are most similar. J&F is the mean of region
    similarity J (intersection over union) and contour accuracy F, averaged over objects.

    Source:
        Caron et al., DINO, ICCV 2021, section 4.2; Yun et al., SelfPatch, CVPR 2022; Jabri et al.,
        Contrastive Random Walk, NeurIPS 2020. References: facebookresearch/dino (7c446df) and
        alinlab/SelfPatch (81aef14), eval_video_segmentation.py; ajabri/videowalk (047f3f4).

    Differs:
        `standard` normalizes with the checkpoint's own std where the 2021 scripts have a slip of
        the pen (0.228 for 0.229), sizes frames to whole patches, not to 64 px, counts objects in
        the mask, not on the token grid, and takes void for background; benchmarks/RUNS.md says
        how many points each moves on real clips. `crw` sizes frames to whole patches,
        since a ViT has no feature of half a patch.
    """

    name: ClassVar[str] = "davis"
    version: ClassVar[int] = 1
    data: ClassVar[DataKind] = "clips"
    default_data: ClassVar[str] = "davis"
    needs: ClassVar[frozenset[Need]] = frozenset({"backbone"})
    metrics: ClassVar[tuple[MetricSpec, ...]] = METRICS
    presets: ClassVar[Presets] = {
        "standard": {},
        "dino-2021": DINO_2021,
        "selfpatch": {**DINO_2021, "norm": False},
        "crw": CRW,
    }

    preset_notes: ClassVar[Mapping[str, str]] = {
        "standard": "ours, for new work: DINO's rules with the errors of its script corrected",
        "dino-2021": "as the script of DINO (Caron et al., ICCV 2021), errors included",
        "selfpatch": "as the script of SelfPatch (Yun et al., CVPR 2022): dino-2021, but patches"
        " before the final norm",
        "crw": "as Contrastive Random Walk (Jabri et al., NeurIPS 2020); 20 context frames at full"
        " size: slower, more memory",
    }
    examples: ClassVar[tuple[str, ...]] = (
        "vitbench eval davis dino-vits16 --preset dino-2021 --data davis",
        "vitbench eval davis ckpt.pth --arch vit_small_patch16_224 --video mp4 --limit 2",
    )

    split: Literal["val", "train", "test-dev"] = setting(
        "val",
        help="split of the clips; test-dev has no public masks: predictions are written, nothing is"
        " scored",
    )
    year: Literal[2017, 2016] = setting(
        2017, help="edition of DAVIS; 2016 has one object in a clip, and masks of 0 and 255"
    )
    k: int = setting(5, help="number of most similar patches that give their labels", minimum=1)
    context_frames: int = setting(
        7, help="number of latest frames that give labels, beside the first frame", minimum=0
    )
    radius: int = setting(
        12,
        help="radius, in patches, of the window in which patches are compared; 0: no window",
        minimum=0,
    )
    window: Literal["square", "circle"] = setting("square", help="shape of the window")
    window_on_first: bool = setting(
        True,
        help="compare with patches of the first frame in the window only",
        off="compare with all patches of the first frame, beyond the window too",
    )
    temperature: float = setting(
        0.1, help="temperature T: a label's weight is exp(cosine / T)", minimum=1e-3
    )
    keep_ties: bool = setting(
        True,
        help="also take the labels of patches that are exactly as similar as the k-th",
        off="take exactly k patches where several are as similar as the k-th",
    )
    repeat_first: bool = setting(
        False,
        help="fill the context with copies of the first frame until there are enough frames",
        off="start with the first frame alone as context",
    )
    layer: int = setting(
        -1, help="number of the block whose patches are compared; negative: from the last, -1"
    )
    norm: bool = setting(
        True,
        help="compare patches after the final norm",
        off="compare patches before the final norm",
    )
    grid_px: int = setting(
        0,
        help="side, in pixels, of the cells of a common grid that the features of any network are"
        " resized to, so that networks of other patch sizes share a column; 0: the network's own"
        " patches",
        minimum=0,
    )
    resolution: int = setting(
        480,
        help="short side of the resized frames, in pixels; size rule `patch` enlarges no frame",
        minimum=32,
    )
    size_rule: Literal["patch", "floor-64", "native"] = setting(
        "patch",
        help="size of the resized frames: --resolution, rounded to whole patches; --resolution,"
        " with the long side rounded down to a multiple of 64; or the size on disk, rounded to"
        " whole patches",
    )
    input_std: Literal["checkpoint", "imagenet", "dino-2021"] = setting(
        "checkpoint",
        help="input normalization: the checkpoint's, ImageNet's, or ImageNet's with the typing"
        " error 0.228 (for 0.229) of DINO's 2021 script",
    )
    count_objects: Literal["mask", "grid"] = setting(
        "mask",
        help="where objects are counted: in the first mask, or in that mask shrunk to the patch"
        " grid",
    )
    void: Literal["ignore", "refuse"] = setting(
        "ignore", help="void pixels of a first mask: count as background, or end with an error"
    )
    shrink_mask: Literal["nearest", "bilinear"] = setting(
        "nearest", help="interpolation that shrinks the first mask to the patch grid"
    )
    stretch: Literal["frame", "objects", "none"] = setting(
        "frame",
        help="rescale soft labels to 0 to 1 before the largest is taken: over the frame, over the"
        " objects, or not at all",
    )
    late_objects: bool = setting(
        False,
        help="follow objects that first appear in a later frame, from their first mask on, as"
        " YouTube-VOS asks; without this flag a clip with such an object is refused",
        identity=False,  # without it, data where it matters gives no score at all
    )
    tf32: bool = setting(False, help="multiply matrices in TF32 on GPUs that have it")
    video: Literal["none", "mp4", "gif"] = setting(
        "none", help="format of a video of each clip with its masks", artifact=True
    )

    @property
    def splits(self) -> tuple[str, ...]:
        """The one split that is read."""
        return (split_name(self.split, self.year, late_objects=self.late_objects),)

    @property
    def normalization(self) -> Normalization | None:
        """The input normalization that a published protocol fixes."""
        red = {"imagenet": 0.229, "dino-2021": 0.228}.get(self.input_std)
        return Normalization((0.485, 0.456, 0.406), (red, 0.224, 0.225)) if red else None

    @property
    def rules(self) -> "Rules":
        """The settings of the label propagation."""
        from vitbench_protocols.davis.propagate import Rules

        return Rules(
            k=self.k,
            temperature=self.temperature,
            context=self.context_frames,
            radius=self.radius,
            window=self.window,
            window_on_first=self.window_on_first,
            keep_ties=self.keep_ties,
            repeat_first=self.repeat_first,
        )

    def check(self, backbone: "Backbone") -> None:
        """Refuse a backbone without such a block, or without tokens before its final norm."""
        backbone.info.absolute(self.layer)
        if not self.norm:
            backbone.check_raw()

    def run(self, backbone: "Backbone", context: Context) -> Outcome:
        """Follow every clip; a killed run goes on with the clip it was in.

        Processes share the clips: each follows its part and tells the others its scores.
        """
        from vitbench_protocols.davis.follow import Follower, follow_once, tf32  # imports torch

        clips: Dataset[Clip] = context.dataset(self.splits[0])
        _check_frames(clips)
        follower = Follower(self, backbone, context)
        sizes = ((clips[index].height, clips[index].width) for index in range(len(clips)))
        for size in dict.fromkeys(sizes):
            follower.check(size)
        longest_first = sorted(range(len(clips)), key=lambda index: -len(clips[index].frames))
        found: dict[str, ClipScores] = {}
        with tf32(self.tf32):
            for done, index in enumerate(distributed.share(longest_first)):
                context.progress("clips", done * distributed.world_size(), len(clips), "clips")
                found[clips[index].id] = follow_once(follower, clips[index])
        context.progress("clips", len(clips), len(clips), "clips")
        found = distributed.merge_on_main(found)
        if not distributed.is_main():
            return Outcome(())
        return self._outcome([found[clips[index].id] for index in range(len(clips))], context)

    def _outcome(self, found: Sequence[ClipScores], context: Context) -> Outcome:
        pictures = {name: context.output / path for one in found for name, path in one.pictures}
        artifacts = {"masks": context.output / "masks", **pictures}
        scored = [one for one in found if one.scored]
        if not scored:
            context.note(f"{self.splits[0]} has no truth: masks are written, nothing is scored")
            return Outcome((), artifacts=artifacts)
        tables = {name: context.output / f"{name}.csv" for name in ("objects", "frames")}
        write_csv(scored, tables["objects"])
        write_frames(scored, tables["frames"])
        scores, items = summarize(scored)
        return Outcome(scores, items, {**tables, **artifacts})


def _check_frames(clips: Dataset[Clip]) -> None:
    for index in range(len(clips)):
        if not clips[index].frames:
            raise errors.DatasetError(
                f"clip {clips[index].id!r} has masks, but no frames to follow objects in.",
                expected="a DAVIS folder: ImageSets, JPEGImages and Annotations",
                found=str(clips[index].masks[0].parent.parent),
            )
