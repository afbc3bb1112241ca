"""From a checkpoint, a protocol and a dataset to a record."""
