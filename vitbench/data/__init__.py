"""Datasets on disk, the views made of their images, and their labels."""
