"""The `rllib` command: train, evaluate, example and report, on RLlib's new API stack."""

__all__: list[str] = []
