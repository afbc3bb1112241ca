"""Objectives: one training loss per file, without loop and without optimizer."""
