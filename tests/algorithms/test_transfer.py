"""What crosses between processes in an iteration: the weights once for all runners, trajectories as few arrays."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import ray

from rllib_metagrad import MetaGrad, MetaGradConfig

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("ray_session")]


def test_weights_are_put_once_and_trajectories_are_few_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    config = (
        MetaGradConfig()
        .environment("escape_room", env_config={"n": 5, "m": 2})
        .env_runners(num_env_runners=2, num_envs_per_env_runner=8)
        .debugging(seed=0, log_level="ERROR")
    )
    algorithm: MetaGrad = config.build_algo()
    try:
        algorithm.train()
        puts: list[Any] = []
        requests: list[Any] = []
        put, ask = ray.put, algorithm.env_runner_group.foreach_env_runner
        monkeypatch.setattr(ray, "put", lambda value: (puts.append(value), put(value))[1])
        monkeypatch.setattr(
            algorithm.env_runner_group,
            "foreach_env_runner",
            lambda *args, **kwargs: (requests.append(kwargs.get("kwargs")), ask(*args, **kwargs))[1],
        )
        algorithm.sync_weights()
        monkeypatch.undo()
        # One array for the five agents' parameters, one for the designer's; requests carry a reference to them.
        (weights,) = puts
        assert [theta.shape[0] for theta in weights["agents"]] == [5]
        assert weights["designer"].shape[0] == 1
        (request,) = requests
        assert isinstance(request["state"].pop("rl_module"), ray.ObjectRef)
        assert request["state"] == {"weights_seq_no": 1}

        received = algorithm.env_runner_group.foreach_env_runner(
            lambda runner: (runner.get_state()["rl_module"]["agents"][0], runner.sample()[0]), local_env_runner=False
        )
        assert len(received) == 2
        for theta, trajectory in received:
            np.testing.assert_array_equal(theta, weights["agents"][0])
            buffers: list[pickle.PickleBuffer] = []
            header = pickle.dumps(trajectory, protocol=5, buffer_callback=buffers.append)
            assert len(buffers) == 16
            assert len(header) < 3000
    finally:
        algorithm.stop()
