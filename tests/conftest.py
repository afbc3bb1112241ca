"""What every test may use: the real data when it is asked for."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Return the folder with the real files; a test that uses it is marked `data`."""
    return Path(os.environ["VITBENCH_DATA"])
