"""The most that each case may have a device do: lowered when less is done, never raised.

Before the augmentation packed its images, the wide softmax worked in parts, gradients were clipped
at once and tables were kept on the device, a batch's augmentation took 9,325 kernels, a DINO step
of ViT-S/16 2,547 and of Swin-T 53 blocking copies, an EsViT step of ViT-S/16 98.8 GiB.
"""

from tests.cuda_path.cases import Measured


def budget(kernels: int, gib: float, *, syncs: int = 0, copies: int = 0) -> Measured:
    """Return a budget; without other words, the host never waits."""
    return Measured(syncs=syncs, copies=copies, kernels=kernels, gib=gib)


BUDGETS = {
    "augment": budget(270, 1.5),
    "train dino vit-s/16": budget(1400, 17),
    "train selfpatch vit-s/16": budget(2300, 22),
    "train esvit vit-s/16": budget(2960, 24),
    "train moby vit-s/16": budget(860, 9.5),
    "train moby-selfpatch vit-s/16": budget(1230, 15),
    "train dino swin-t": budget(2060, 29),
    "train selfpatch swin-t": budget(3020, 31),
    "train esvit swin-t": budget(2460, 36),
    "train moby swin-t": budget(1215, 17),
    "train moby-selfpatch swin-t": budget(1575, 18),
}
