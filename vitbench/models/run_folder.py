"""The default place of training runs, and the names of the files in a run's folder."""

from pathlib import Path

RUNS = Path("runs")  # where the trainers put their runs if not told otherwise
RUN_FILE = "backbone.safetensors"  # the trained backbone: with it, the folder is a checkpoint
RUN_JOURNAL = "metrics.jsonl"  # what the run wrote of itself on the way
RUN_DOCUMENT = "run.json"  # the recipe and the command that started it
SNAPSHOTS = "snapshots"  # the folder of its snapshots
