"""Data: datasets as they lie on disk, the views made of them, and what their labels say."""
