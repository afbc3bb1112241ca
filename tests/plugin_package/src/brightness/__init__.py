"""The tables of this distribution: a protocol and a backbone; a manifest lies beside this file."""

PROTOCOLS = {"brightness": "brightness.protocol:Brightness"}
BACKBONES = {"colors": "brightness.backbone:colors"}
