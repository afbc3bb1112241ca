"""Bundled manifests: one TOML file for each published weight file."""
