"""A goal and what was measured of it: a row of the table at the head of RESULTS.md."""

BAR = "|"


def told(what: str, figure: float, most: float, unit: str = "s of CPU") -> bool:
    """Print a row; return whether the goal is met.

    Args:
        what: What costs it.
        figure: What was measured.
        most: The goal.
        unit: Of both.
    """
    met = figure <= most
    cells = (what, f"{most:.3g} {unit}", f"{figure:.2f}", "met" if met else "**missed**")
    print(f"{BAR} {f' {BAR} '.join(cells)} {BAR}", flush=True)
    return met
