"""vitbench: how good are this Vision Transformer's features, really?"""

__version__ = "0.1.0"
