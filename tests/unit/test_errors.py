import pickle

import pytest

from vitbench.data.decode import CorruptImage
from vitbench.errors import CacheError, SettingError, UnknownName, VitbenchError

ERRORS = (
    CacheError("the disk is full.", expected="10 GB", found="1 GB", hint="make room"),
    SettingError(["k is 0, expected at least 1", "T is 0"], hint="--k 5"),
    UnknownName("protocol", "nkn", ["knn", "davis"]),
    CorruptImage("cat.jpg", found="no image", cure="restore the file"),
)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_every_error_reaches_another_process_whole(error: VitbenchError) -> None:
    found = pickle.loads(pickle.dumps(error))
    assert type(found) is type(error)
    assert str(found) == str(error)
    assert found.args == error.args
    assert vars(found) == vars(error)
