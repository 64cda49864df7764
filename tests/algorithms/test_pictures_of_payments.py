"""`evaluate(render=...)`: under each frame stands what was offered and paid then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rllib_metagrad import FixedIncentiveConfig
from rllib_metagrad.evaluation import evaluate

SPREAD = {"id": "mpe2.simple_spread_v3", "N": 2, "max_cycles": 4}


@pytest.mark.integration
@pytest.mark.parametrize(
    ("env", "env_config", "outputs"),
    [
        ("escape_room", {"n": 3, "m": 1}, [1.25, 0.0, 0.5]),
        ("matrix_game", {"num_rounds": 2}, [1.25, 0.5]),
        ("cleanup", {"max_steps": 4}, None),
        ("pettingzoo", SPREAD, [1.25, 0.5, 0.0, 0.0, 0.0]),
    ],
)
def test_every_kind_of_game(env: str, env_config: dict[str, Any], outputs: list[float] | None, tmp_path: Path) -> None:
    algorithm = FixedIncentiveConfig().environment(env, env_config=env_config)
    algorithm.env_runners(num_env_runners=0, num_envs_per_env_runner=1)
    if outputs is not None:
        algorithm.incentives(fixed_incentives=outputs)
    built = algorithm.debugging(seed=0).build_algo()
    seen: list[tuple[Any, ...]] = []

    def spy(frame: np.ndarray, *shown: Any) -> np.ndarray:
        seen.append((frame, *shown))
        return frame

    try:
        evaluate(built, episodes=1, render=tmp_path / "plain.gif")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("rllib_metagrad.evaluation.with_payments", spy)
            evaluate(built, episodes=1, render=tmp_path / "spied.gif")
        agents = built.env_runner.spec.possible_agents
    finally:
        built.stop()
    assert len(seen) > 1
    assert set(seen[0][1].values()) == set(seen[0][2].values()) == {None}
    for frame, offered, rewards, paid in seen[1:]:
        assert tuple(rewards) == tuple(paid) == agents
        if outputs is not None:
            assert list(offered.values()) == outputs
            assert set(paid.values()) <= {*outputs, 0.0}
            acted = [paid[agent] for agent in agents if rewards[agent] is not None]
            assert env != "matrix_game" or 0.0 not in acted
        with Image.open(tmp_path / "plain.gif") as drawn:
            assert drawn.height > frame.shape[0]
