"""Every registered protocol passes the checks that outside ones must pass."""

import pytest

from vitbench.cli.main import main
from vitbench.engine.protocol import protocols, scorers


def test_every_bundled_protocol_and_scorer_keeps_the_contract() -> None:
    for registry in (protocols, scorers):
        assert registry.problems() == ()
        for name in registry.names():
            assert registry.get(name).name == name  # `get` checks the contract


@pytest.mark.parametrize(
    "words",
    [["eval", name] for name in protocols.names()] + [["score", name] for name in scorers.names()],
)
def test_every_setting_is_a_flag(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main([*words, "--help"])
    assert "--data" in capsys.readouterr().out


def test_a_protocol_that_can_do_without_a_checkpoint_keeps_the_contract(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["check-plugin", "adjacency"]) == 0
    assert "FAIL" not in capsys.readouterr().out
