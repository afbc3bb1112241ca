"""Ways to pretrain that vitbench does not ship: recipes, their loss terms, an optimizer."""

RECIPES = {
    "ibot": "methods.recipes:ibot",
    "mae": "methods.recipes:mae",
    "dino-koleo": "methods.recipes:dino_koleo",
    "dino-sinkhorn": "methods.recipes:dino_sinkhorn",
}
