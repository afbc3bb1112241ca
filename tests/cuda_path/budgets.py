"""The most that each case may have a device do: lowered when less is done, never raised.

Before the augmentation packed its images, the wide softmax worked in parts, gradients were clipped
at once and tables were kept on the device, a batch's augmentation took 9,325 kernels, a DINO step
of ViT-S/16 2,547 and of Swin-T 53 blocking copies, an EsViT step of ViT-S/16 98.8 GiB. Before
detection worked by padded size, its step took 36 waits and 1,434 kernels an image, and detecting
58 and 1,110; a frame of a clip took 135 waits and 919 kernels. Memory was raised once: casts of
frozen weights are kept, two bytes a weight, where each pass of ViT-S/16 made them by 98 kernels.
"""

from tests.cuda_path.cases import Measured


def budget(kernels: int, gib: float, *, syncs: int = 0, copies: int = 0) -> Measured:
    """Return a budget; without other words, the host never waits."""
    return Measured(syncs=syncs, copies=copies, kernels=kernels, gib=gib)


BUDGETS = {
    "features": budget(495, 1.05),
    "k-nn": budget(5310, 2.0, syncs=18, copies=2),
    "linear probe": budget(34, 0.11),
    "davis clip": budget(1050, 0.44, syncs=6, copies=1),
    "adjacency": budget(527, 0.22),
    "segmentation step": budget(920, 10.5),
    "segmentation": budget(1615, 2.7, syncs=1),
    "detection step": budget(3000, 1.5, syncs=40, copies=12),
    "detection": budget(1220, 1.0, syncs=30, copies=13),
    "augment": budget(270, 1.5),
    "augment nvjpeg": budget(400, 1.6),
    "train dino vit-s/16": budget(1390, 16.5),
    "train selfpatch vit-s/16": budget(2300, 22),
    "train esvit vit-s/16": budget(2960, 22.2),
    "train moby vit-s/16": budget(860, 9.5),
    "train moby-selfpatch vit-s/16": budget(1200, 14.5),
    "train dino swin-t": budget(1980, 28),
    "train selfpatch swin-t": budget(3020, 31),
    "train esvit swin-t": budget(2460, 33),
    "train moby swin-t": budget(1215, 17),
    "train moby-selfpatch swin-t": budget(1575, 18),
}
