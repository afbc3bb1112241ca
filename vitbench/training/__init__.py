"""Training: recipes, schedules, snapshots and the one loop that runs them all."""

RECIPES = {
    "dino": "vitbench.training.recipes:dino",
    "esvit": "vitbench.training.recipes:esvit",
    "moby": "vitbench.training.recipes:moby",
    "moby-selfpatch": "vitbench.training.recipes:moby_selfpatch",
    "selfpatch": "vitbench.training.recipes:selfpatch",
}
