"""A kind of data of its own, depth maps: its reader, and a protocol that reads it."""

READERS = {"depth": "depth.dataset:READER"}
PROTOCOLS = {"depth": "depth.protocol:Depth"}
