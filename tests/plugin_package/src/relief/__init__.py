"""A kind of data of its own, relief: its reader, and a protocol that reads it."""

READERS = {"relief": "relief.dataset:READER"}
PROTOCOLS = {"relief": "relief.protocol:Relief"}
