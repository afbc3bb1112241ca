"""Checkpoints in, backbones out: formats, manifests, architectures, networks."""
