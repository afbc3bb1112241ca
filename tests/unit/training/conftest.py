"""Networks small enough to train in milliseconds."""

from collections.abc import Iterator

import pytest

from tests.tiny_training import nano_networks


@pytest.fixture(autouse=True)
def nano() -> Iterator[None]:
    """Let every test here name networks of the size "nano"."""
    with nano_networks():
        yield
