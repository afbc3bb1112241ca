"""Every registered protocol passes the checks that outside ones must pass."""

from vitbench.engine.protocol import protocols, scorers


def test_every_bundled_protocol_and_scorer_keeps_the_contract() -> None:
    for registry in (protocols, scorers):
        assert registry.problems() == ()
        for name in registry.names():
            assert registry.get(name).name == name  # `get` checks the contract
