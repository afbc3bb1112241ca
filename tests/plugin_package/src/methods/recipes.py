"""The recipes, with presets that their authors published."""

from dataclasses import replace

from methods.lars import Lars
from methods.settings import Ibot, Koleo, Mae, SinkhornDino
from methods.training_file import TRAINING_FILE
from vitbench.api import Recipe, Term
from vitbench.kit import AdamW, Cosine, Dino, MultiCrop, dino_crops, offered_with

RESNET_STYLE = Lars(learning_rate=Cosine(0.3, 0.0, 10), batch_unit=256)


def _ibot_terms() -> tuple[Term, ...]:
    ibot = Ibot(
        teacher_temperature=0.07,
        warmup_teacher_temperature_epochs=30,
        normalize_last_layer=False,
    )
    return (Term(1.0, ibot),)


@offered_with(presets={"imagenet-800": {"epochs": 800, "batch_size": 1024}}, layout=TRAINING_FILE)
def ibot() -> Recipe:
    """iBOT's ViT-S/16 (bytedance/ibot, main_ibot.py): ten local crops, scales from 0.25."""
    crops = replace(
        dino_crops(), local_crops=10, global_scale=(0.25, 1.0), local_scale=(0.05, 0.25)
    )
    return Recipe(name="ibot", terms=_ibot_terms(), crops=crops)


@offered_with(
    presets={
        "imagenet-800": {"arch": "vit_base_patch16_224", "epochs": 800, "batch_size": 4096},
        "imagenet-1600": {"arch": "vit_large_patch16_224", "epochs": 1600, "batch_size": 4096},
    }
)
def mae() -> Recipe:
    """MAE's ViT-B/16 (facebookresearch/mae, main_pretrain.py): no teacher, crops and flips alone.

    Both global crops of an image learn, so an epoch is two of the reference's.
    """
    crops = MultiCrop(
        local_crops=0,
        global_scale=(0.2, 1.0),
        jitter=0.0,
        gray=0.0,
        blur=(0.0, 0.0, 0.0),
        solarize=(0.0, 0.0, 0.0),
    )
    return Recipe(
        name="mae",
        terms=(Term(1.0, Mae()),),
        arch="vit_base_patch16_224",
        crops=crops,
        optimizer=AdamW(
            learning_rate=Cosine(1.5e-4, 0.0, 40),
            weight_decay=Cosine(0.05, 0.05),
            betas=(0.9, 0.95),
            clip=0.0,
        ),
        teacher_momentum=None,
        drop_path=0.0,
        epochs=800,
        batch_size=4096,
    )


def dino_koleo() -> Recipe:
    """DINO whose features spread over the sphere, with DINOv2's weight of the new term."""
    return Recipe(name="dino-koleo", terms=(Term(1.0, Dino()), Term(0.1, Koleo())))


def dino_sinkhorn() -> Recipe:
    """DINO with DINOv2's balanced targets, by the optimizer that DINO's code has for ResNets."""
    return Recipe(name="dino-sinkhorn", terms=(Term(1.0, SinkhornDino()),), optimizer=RESNET_STYLE)
