"""Training: recipes, schedules, snapshots and the one loop that runs them all."""
