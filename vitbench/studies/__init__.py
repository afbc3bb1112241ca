"""Studies and sweeps: tables of trainings and evaluations that one command fills."""
