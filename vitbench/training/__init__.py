"""Training: recipes, schedules, snapshots and the one loop that runs them all."""

RECIPES = {
    "dino": "vitbench.training.recipes:dino",
    "selfpatch": "vitbench.training.recipes:selfpatch",
}
