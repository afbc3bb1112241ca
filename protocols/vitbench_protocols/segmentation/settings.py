"""The settings of segmentation's ways: flags, known before torch is imported."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from vitbench.api import errors, setting
from vitbench.kit import Pixels, PositionRule, Size, fitted, resize_indices
from vitbench_protocols.segmentation.classes import Indices

if TYPE_CHECKING:
    from vitbench.api import Backbone
    from vitbench.kit import FineTuneConfig
    from vitbench_protocols.segmentation.inference import Segmenter
    from vitbench_protocols.segmentation.predict import Problem

DecoderName = Literal["semantic-fpn", "semantic-fpn-deconv", "upernet"]
NAMES: tuple[DecoderName, ...] = get_args(DecoderName)
UNDECAYED = {
    "positions": ("pos_embed", "cls_token"),
    "positions-and-norms": ("pos_embed", "cls_token", "norm"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Inference:
    """Sizes, windows, scales and flips of the images that are scored; all of them move the score.

    Whole images are the published protocols'. The same network gains points by windows, flips and
    scales, so they are named settings.

    Source:
        mmsegmentation 0.x, EncoderDecoder: whole_inference, slide_inference, aug_test.

    Differs:
        An image whose sides are no multiples of the patch is padded, its scores are cut back; the
        reference stretches the scores of the padded image over the image, up to a patch too far.
    """

    short: int = setting(512, help="short side of the resized image, in pixels", minimum=16)
    long: int = setting(2048, help="largest long side of the resized image, in pixels", minimum=16)
    window: int = setting(
        0, help="side of the sliding window, in pixels; 0: the whole image at once", minimum=0
    )
    stride: int = setting(341, help="pixels from one window to the next", minimum=1)
    scales: tuple[float, ...] = setting(
        (1.0,),
        help="scales at which an image is classified; the results are averaged",
        minimum=0.05,
    )
    flip: bool = setting(False, help="average with the result for the mirrored image")

    def check(self, backbone: "Backbone") -> None:
        """Refuse a backbone of one image size, unless images are seen by windows of that size.

        Raises:
            MissingAbility: If it can't take what it would be shown.
        """
        info = backbone.info
        if info.fixed_size and (self.window, self.window) != info.image_size:
            raise errors.MissingAbility(
                f"{info.arch} takes images of {info.image_size[0]} x {info.image_size[1]} px only.",
                found="images of any size, shown whole or by other windows",
                hint=f"--inference.window {info.image_size[0]}, with a method that learns",
            )

    def classify(self, image: Pixels, segmenter: "Segmenter") -> Indices:
        """Return the class of every pixel, shape (H, W)."""
        from vitbench_protocols.segmentation.inference import classify  # imports torch

        return classify(self, image, segmenter)

    def size_of(self, shape: Size) -> Size:
        """Return the size (H, W) at which an image of a shape is seen, at scale 1."""
        return fitted(shape, short=self.short, long=self.long)

    def compared(self, truth: Indices) -> Indices:
        """Return the true classes as predictions are compared with them: at their own size."""
        return truth


@dataclass(frozen=True, slots=True, kw_only=True)
class Squared:
    """Images and labels squeezed to a square, and compared there.

    Source:
        vpariza/open-hummingbird-eval, hbird/utils/transforms.py (5e79da2): bilinear with
        antialiasing, labels by their nearest.
    """

    size: int = setting(512, help="side of the square, px; a multiple of the patch", minimum=16)

    def check(self, backbone: "Backbone") -> None:
        """Refuse a side that is no multiple of the patch, or that the backbone can't take.

        Raises:
            SettingError: It is no multiple.
            MissingAbility: The backbone takes other sizes only.
        """
        stride = backbone.info.stage(-1).stride
        if self.size % stride:
            near = max(1, round(self.size / stride)) * stride
            raise errors.SettingError(
                [f"--inference.size is {self.size}, expected a multiple of the patch, {stride} px"],
                hint=f"--inference.size {near}",
            )
        backbone.check_images(self.size, self.size)

    def classify(self, image: Pixels, segmenter: "Segmenter") -> Indices:
        """Return the class of every pixel of the square, shape (size, size)."""
        from vitbench_protocols.segmentation.inference import classify_square  # imports torch

        return classify_square(self.size, image, segmenter)

    def size_of(self, shape: Size) -> Size:
        """Return the size (H, W) at which any image is seen."""
        return self.size, self.size

    def compared(self, truth: Indices) -> Indices:
        """Return the true classes of the square."""
        return resize_indices(truth, (self.size, self.size))


@dataclass(frozen=True, slots=True, kw_only=True)
class Learning:
    """Steps, crops and optimizer of the training."""

    steps: int = setting(40_000, help="training steps", minimum=1)
    batch_size: int = setting(16, help="crops in one training step, over all processes", minimum=1)
    crop: int = setting(512, help="side of a training crop, in pixels", minimum=16)
    short: int = setting(
        512, help="short side of a training image before its random scale, in pixels", minimum=16
    )
    scales: tuple[float, float] = setting(
        (0.5, 2.0), help="smallest and largest random scale of a training image", minimum=0.05
    )
    class_share: float = setting(
        0.75,
        help="largest share of a crop that one class may take; after 10 tries any crop is taken",
        minimum=0,
        maximum=1,
    )
    learning_rate: float = setting(6e-5, help="learning rate after the warm-up", minimum=0)
    weight_decay: float = setting(0.01, help="weight decay of AdamW", minimum=0)
    warmup_steps: int = setting(
        1500, help="steps in which the learning rate grows linearly", minimum=0
    )
    accumulate: int = setting(
        1,
        help="parts that a batch is split into to save memory; BatchNorm normalizes each part",
        minimum=1,
    )
    check_every: int = setting(
        4000,
        help="steps between two scores on val for the training curve; 0: none",
        minimum=0,
        identity=False,
    )

    def course(self, undecayed: tuple[str, ...]) -> "FineTuneConfig":
        """Return what the core's loop needs to know."""
        from vitbench.kit import FineTuneConfig, Poly  # imports torch

        return FineTuneConfig(
            steps=self.steps,
            batch_size=self.batch_size,
            rate=Poly(self.learning_rate, warmup_steps=self.warmup_steps),
            weight_decay=self.weight_decay,
            undecayed=undecayed,
            accumulate=self.accumulate,
            check_every=self.check_every,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DenseKnn:
    """Retrieval in a memory of frozen patch features; nothing is trained.

    Source:
        Balazevic et al., Towards In-Context Scene Understanding, NeurIPS 2023: 30 neighbors,
        temperature 0.02, memory of 10,240,000 patches.

    Differs:
        The memory is a random share of every training image's patches, not drawn by class, and
        images keep their shape, as in the other ways of segmenting.
    """

    k: int = setting(
        30, help="number of most similar training patches that give their classes", minimum=1
    )
    temperature: float = setting(
        0.02, help="temperature T: a neighbor's weight is exp(cosine / T)", minimum=1e-3
    )
    memory: int = setting(1_024_000, help="number of training patches that are kept", minimum=1)
    layer: int = setting(
        -1, help="number of the block whose patches are compared; negative: from the last, -1"
    )
    engine: Literal["faiss", "torch"] = setting(
        "torch",
        help="library that searches for the neighbors; both find the same, exactly",
        identity=False,
    )

    def check(self, backbone: "Backbone") -> None:
        """Refuse a backbone without such a block."""
        backbone.info.absolute(self.layer)

    def learn(self, backbone: "Backbone", problem: "Problem") -> "Segmenter":
        """Learn from the training images, and return what scores every place of an image."""
        from vitbench_protocols.segmentation.dense_knn import remember  # imports torch

        return remember(self, backbone, problem)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hummingbird:
    """Retrieval of labels as open-hummingbird-eval does it; with squared images.

    Training images are cropped at random and their colors changed a little, once an epoch. Of each,
    the patches whose classes are rare in the image are kept rather than others.

    Source:
        Balazevic et al., Towards In-Context Scene Understanding, NeurIPS 2023.
        Reference: vpariza/open-hummingbird-eval (5e79da2), hbird/hbird_eval.py.

    Differs:
        Neighbors are exact (the published figures were found by ScaNN). Crops are drawn by image
        and epoch. The input is normalized as the checkpoint asks; the reference divides blue by
        0.255. Void pixels of training images count as background, as there, where a class is
        called background; else they are left out.
    """

    k: int = setting(30, help="most similar patches that give their classes", minimum=1)
    temperature: float = setting(0.02, help="weights are exp(cosine / T)", minimum=1e-3)
    memory: int = setting(1_024_000, help="training patches that are kept", minimum=1)
    epochs: int = setting(2, help="passes of the training images, each with new crops", minimum=1)
    layer: int = setting(-1, help="block whose tokens are compared, from the end if negative")
    engine: Literal["faiss", "torch"] = setting(
        "torch", help="exact search; both give the same neighbors", identity=False
    )

    def check(self, backbone: "Backbone") -> None:
        """Refuse a backbone without such a block."""
        backbone.info.absolute(self.layer)

    def learn(self, backbone: "Backbone", problem: "Problem") -> "Segmenter":
        """Learn from the training images, and return what scores every place of an image."""
        from vitbench_protocols.segmentation.hummingbird import remember_crops  # imports torch

        return remember_crops(self, backbone, problem)


@dataclass(frozen=True, slots=True, kw_only=True)
class FineTune:
    """A decoder and the whole backbone, trained together."""

    decoder: DecoderName = setting(
        "semantic-fpn", help="decoder that is trained on top of the backbone", choices=NAMES
    )
    layers: tuple[int, ...] = setting(
        (),
        help="four blocks whose features the decoder gets; left out: one at each quarter of the"
        " depth, or the last of each stage",
    )
    drop_path: float = setting(
        0.1, help="drop-path rate of the last block", minimum=0, maximum=0.99
    )
    undecayed: Literal["positions", "positions-and-norms"] = setting(
        "positions",
        help="parameters without weight decay: position table and class token, as the released list"
        " works, or norms too, as its comment says",
        choices=tuple(UNDECAYED),
    )
    position_rule: PositionRule = setting(
        "size", help="how the position table is resized to other image sizes"
    )
    learning: Learning = setting(Learning(), help="steps, crops and optimizer of the training")

    def check(self, backbone: "Backbone") -> None:
        """Refuse a backbone that these settings can't fine-tune."""
        from vitbench_protocols.segmentation.methods import check_fine_tuning  # imports torch

        check_fine_tuning(self, backbone)

    def learn(self, backbone: "Backbone", problem: "Problem") -> "Segmenter":
        """Learn from the training images, and return what scores every place of an image."""
        from vitbench_protocols.segmentation.methods import fine_tune  # imports torch

        return fine_tune(self, backbone, problem)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearProbe:
    """Batch normalization and a linear map on frozen patch tokens.

    Source:
        Oquab et al., DINOv2, TMLR 2024, section 7.4 ("lin."), which trains 40,000 steps.
    """

    layer: int = setting(
        -1, help="number of the block whose patches are classified; negative: from the last, -1"
    )
    learning: Learning = setting(
        Learning(steps=4000, learning_rate=1e-3, weight_decay=1e-4, warmup_steps=150),
        help="steps, crops and optimizer of the training",
    )

    def check(self, backbone: "Backbone") -> None:
        """Refuse a backbone without such a block, or that can't take such crops."""
        backbone.info.absolute(self.layer)
        backbone.check_images(self.learning.crop, self.learning.crop)

    def learn(self, backbone: "Backbone", problem: "Problem") -> "Segmenter":
        """Learn from the training images, and return what scores every place of an image."""
        from vitbench_protocols.segmentation.methods import train_linear_map  # imports torch

        return train_linear_map(self, backbone, problem)
