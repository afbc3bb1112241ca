"""The table of this distribution: one protocol, and a manifest beside this file."""

PROTOCOLS = {"brightness": "brightness.protocol:Brightness"}
