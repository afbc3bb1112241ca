"""Bundled protocols and scorers: command-line name -> "module:Class", imported on first use."""

PROTOCOLS: dict[str, str] = {}

SCORERS: dict[str, str] = {}
