"""Passes and steps of the protocols on the fake device, at the sizes that are published."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import mkdtemp
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from tests.cuda_path.counting import Counts
from tests.cuda_path.device import real
from vitbench.api import Backbone, Output, Sample
from vitbench.data.clips import Clip
from vitbench.data.transforms import Normalization
from vitbench.engine.features import IMAGE_LEVEL, Pass, _forward
from vitbench.kit import FineTuneContext, FineTuning
from vitbench.models.constants import IMAGENET_MEAN, IMAGENET_STD
from vitbench.models.factory import build
from vitbench.models.identity import WeightsIdentity
from vitbench.neighbors import search, vote
from vitbench_protocols.adjacency import Adjacency
from vitbench_protocols.adjacency.features import _cosines
from vitbench_protocols.davis import Davis
from vitbench_protocols.davis.follow import Follower
from vitbench_protocols.detection import Detection
from vitbench_protocols.detection.building import build_detector
from vitbench_protocols.detection.inference import Shown, detect, detected
from vitbench_protocols.detection.learning import ViewTask
from vitbench_protocols.detection.views import View
from vitbench_protocols.linear_probe.features import FeatureSet
from vitbench_protocols.linear_probe.grid import Grid, Head
from vitbench_protocols.linear_probe.sources import StoredFeatures
from vitbench_protocols.segmentation.crops import Crop
from vitbench_protocols.segmentation.decoders import MAKERS
from vitbench_protocols.segmentation.inference import classify
from vitbench_protocols.segmentation.learning import CropTask
from vitbench_protocols.segmentation.methods import _default_layers
from vitbench_protocols.segmentation.networks import NetworkSegmenter, TrainedTogether
from vitbench_protocols.segmentation.settings import FineTune, Inference

CUDA = torch.device("cuda")
VIT = "vit_small_patch16_224"
TRAIN_IMAGES, VAL_IMAGES, CLASSES = 1_281_167, 50_000, 1000  # of ImageNet
NORMALIZATION = Normalization(IMAGENET_MEAN, IMAGENET_STD)


@dataclass
class Run:
    """A run's context, as far as a step reads it."""

    device: torch.device = CUDA
    normalization: Normalization = NORMALIZATION
    precision: str = "bf16"
    resampling: str = "exact"
    seed: int = 0
    workers: int = 1
    batch_size: int | None = None
    scratch: Path = field(default_factory=lambda: Path(mkdtemp()))
    output: Path = field(default_factory=lambda: Path(mkdtemp()))

    def __post_init__(self) -> None:
        self.normalization(torch.empty(1, 3, 1, 1, device=CUDA))  # its constants are kept

    def autocast(self) -> torch.autocast:
        return torch.autocast("cuda", torch.bfloat16)

    def progress(self, *_: Any) -> None:
        pass


def backbone(arch: str = VIT) -> Backbone:
    """Return a frozen network on the device."""
    found: Backbone = real(build)(arch, seed=0)
    return found.eval().requires_grad_(False).to(CUDA)


def make_moments(optimizer: torch.optim.Optimizer) -> None:
    """Make what an optimizer keeps of each parameter, as its first step does."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    optimizer.zero_grad()


def features(counts: Counts) -> None:
    """Pass two batches of k-NN's images."""
    model = backbone()
    kept = Run()
    run = Pass(
        backbone=model,
        weights=WeightsIdentity("", {}),
        normalization=kept.normalization,
        precision="bf16",
        device=CUDA,
        workers=1,
    )
    counts.clear()
    for _ in range(2):
        _forward(run, torch.zeros(256, 3, 224, 224, dtype=torch.uint8, device="cpu"), IMAGE_LEVEL)


def nearest_neighbors(counts: Counts) -> None:
    """Search ImageNet's training images for 2,048 of its validation images, and vote."""
    bank, queries = (torch.empty(rows, 384, device=CUDA) for rows in (TRAIN_IMAGES, 2048))
    labels = torch.zeros(TRAIN_IMAGES, dtype=torch.int64, device=CUDA)
    counts.clear()
    found = search(bank, queries, 200, engine="torch")
    for k in (10, 20, 100, 200):
        vote(found, labels, classes=CLASSES, k=k, temperature=0.07)


def linear_probe(counts: Counts) -> None:
    """Train 27 heads on a batch of stored features."""
    output = Output(-1)
    features = FeatureSet("class token", (output,))
    heads = [Head(features, 10.0**-power) for power in range(9)]
    grid = Grid(heads, widths={output: 384}, classes=CLASSES, seed=0, device=CUDA)
    source = StoredFeatures({output: torch.empty(100_000, 384, device="cpu")}, CUDA)
    labels = torch.zeros(1024, dtype=torch.int64, device=CUDA)
    batches = [torch.arange(1024, device="cpu")] * 2
    counts.clear()
    for vectors in source.batches(0, batches):
        grid.step(vectors, labels, scale=1.0, momentum=0.9)


class StillClip(Clip):
    """Frames of 480 x 854 px that nothing moves in."""

    def frame(self, index: int) -> NDArray[np.uint8]:
        return np.zeros((self.height, self.width, 3), np.uint8)

    def mask(self, index: int) -> NDArray[np.uint8]:
        labels = np.zeros((self.height, self.width), np.uint8)
        labels[100:200, 100:200] = 1
        return labels


def follow_clip(counts: Counts) -> None:
    """Follow the object of a clip of four frames."""
    frames = tuple(Path(f"{number:05}.jpg") for number in range(4))
    clip = StillClip("still", frames, (Path("0.png"),), 480, 854, 1)
    follower = Follower(Davis(), backbone("vit_small_patch8_224"), Run())  # type: ignore[arg-type]
    counts.clear()
    follower.follow(clip, Path(mkdtemp()))


class Photographs:
    """Images of a size."""

    def __init__(self, count: int, size: tuple[int, int]) -> None:
        self.count, self.size = count, size

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample[None]:
        return Sample(str(index), Image.new("RGB", self.size[::-1]), None)


def adjacency(counts: Counts) -> None:
    """Compare the patches of 64 images with their neighbors."""
    model, protocol = backbone(), Adjacency()
    truth, run = SimpleNamespace(indices=np.arange(64)), Run()
    counts.clear()
    _cosines(protocol, model, Photographs(64, (480, 640)), truth, run)  # type: ignore[arg-type]


def segmentation_network() -> TrainedTogether:
    """Return SelfPatch's network for ADE20K."""
    model, settings = real(build)(VIT, seed=0), FineTune()
    layers = _default_layers(model.info)
    copy = model.dense_copy(image_px=settings.learning.crop, rule=settings.position_rule)
    decoder = MAKERS[settings.decoder]([model.info.stage(layer) for layer in layers], 150)
    return TrainedTogether(copy, decoder, layers=layers, drop_path=settings.drop_path).to(CUDA)


def fine_tuning(problem: Any, config: Any) -> FineTuning[Any]:
    """Return a fine-tuning in folders of its own."""
    run = Run()
    around = FineTuneContext(
        device=CUDA, workers=1, scratch=run.scratch, output=run.output, progress=run.progress
    )
    tuning = FineTuning(problem, config, around)
    make_moments(tuning.optimizer)
    return tuning


def segment_step(counts: Counts) -> None:
    """Train SelfPatch's segmentation network on 16 crops of 512 px."""
    problem: Any = SimpleNamespace(context=Run(), train=Photographs(4, (480, 640)), classes=None)
    settings = FineTune().learning
    tuning = fine_tuning(CropTask(segmentation_network(), problem, settings), settings.course(()))
    crop = Crop(np.zeros((512, 512, 3), np.uint8), np.zeros((512, 512), np.int16))
    counts.clear()
    tuning.train_step([crop] * 16)


def segment_image(counts: Counts) -> None:
    """Classify every pixel of one image, by windows, mirrored too."""
    segmenter = NetworkSegmenter(segmentation_network(), Run())  # type: ignore[arg-type]
    image = np.zeros((480, 640, 3), np.uint8)
    counts.clear()
    with torch.inference_mode():
        classify(Inference(window=512, flip=True), image, segmenter)


def detector(settings: Detection) -> Any:
    """Return SelfPatch's Mask R-CNN for COCO."""
    return real(build_detector)(settings, real(build)(VIT, seed=0), 80).to(CUDA)


def detect_step(counts: Counts) -> None:
    """Train Mask R-CNN on three images, two of them of one size."""
    settings = Detection()
    network = detector(settings)
    views = [view((480, 640), 7), view((480, 640), 3), view((512, 683), 3)]
    task: Any = object.__new__(ViewTask)
    task.model, task.problem = network, SimpleNamespace(context=Run())
    config = replace(settings.learning, batch_size=len(views)).course(100, {})
    tuning = fine_tuning(task, config)
    counts.clear()
    tuning.train_step(views)


def view(size: tuple[int, int], objects: int) -> View:
    """Return a training view."""
    boxes = np.tile(np.array([10, 10, 100, 100], np.float32), (objects, 1))
    masks = np.zeros((objects, *size), np.uint8)
    labels, outlined = np.ones(objects, np.int64), np.ones(objects, bool)
    return View(np.zeros((*size, 3), np.uint8), boxes, labels, masks, outlined)


def detect_images(counts: Counts) -> None:
    """Detect in four images of one size."""
    network = detector(Detection()).eval()
    shown = [Shown(at, (480, 640), np.zeros((800, 1067, 3), np.uint8)) for at in range(4)]
    truth: Any = SimpleNamespace(
        categories={number: str(number) for number in range(1, 81)}, image_ids=range(4)
    )
    run = Run()
    counts.clear()
    with torch.inference_mode():
        for image, found in zip(shown, detect(shown, run, network), strict=True):  # type: ignore[arg-type]
            detected(image, found, truth)


PASSES: dict[str, Callable[[Counts], None]] = {
    "features": features,
    "k-nn": nearest_neighbors,
    "linear probe": linear_probe,
    "davis clip": follow_clip,
    "adjacency": adjacency,
    "segmentation step": segment_step,
    "segmentation": segment_image,
    "detection step": detect_step,
    "detection": detect_images,
}
