"""The names of the files in a folder that transformers or timm wrote."""

HUB_CONFIG = "config.json"
HUB_INPUT = "preprocessor_config.json"
HUB_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
HUB_INDEX = "model.safetensors.index.json"  # of weights in several files
