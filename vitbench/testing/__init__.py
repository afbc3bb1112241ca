"""For authors of plug-ins: does my component keep the contract?"""

from vitbench.testing.conformance import Finding, check_protocol

__all__ = ["Finding", "check_protocol"]
