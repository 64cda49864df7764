"""`policies`, `policy_mapping_fn` and the like: asked once, names as the user's, settings of one policy."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from ray.rllib.policy.policy import PolicySpec

from rllib_metagrad.algorithms import FixedIncentive, get_config_class
from rllib_metagrad.algorithms.policies import asked
from rllib_metagrad.settings import SettingError

AGENTS = ("agent_0", "agent_1", "agent_2")


def config(kind: str = "FixedIncentive", **settings: Any) -> Any:
    base = {"env": "escape_room", "env_config": {"n": 3, "m": 1}, "num_envs_per_env_runner": 4, "seed": 0}
    return get_config_class(kind)().update_from_dict({**base, "log_level": "ERROR", **settings})


def mapping(**settings: Any) -> dict[str, str]:
    """What is handed out."""
    given = config(**settings)
    given.validate()
    made = asked(given, AGENTS)
    made.validate()
    return {agent: made.policy_of(agent) for agent in AGENTS}


def own(agent: str, episode: Any, **kwargs: Any) -> str:
    return agent


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, AGENTS),
        ({"parameter_sharing": True}, ("shared",) * 3),
        # A name like any other, in whatever form.
        ({"policies": {"default_policy"}, "policy_mapping_fn": lambda *_: "default_policy"}, ("default_policy",) * 3),
        ({"policies": ["default_policy"]}, ("default_policy",) * 3),
        ({"policies": ("one",), "policy_mapping_fn": lambda *a, **k: "one"}, ("one",) * 3),
        ({"policies": {"one": None}}, ("one",) * 3),
        # The obvious mapping: to policies of the agents' names.
        ({"policies": set(AGENTS)}, AGENTS),
        ({"policies": {*AGENTS, "spare"}}, AGENTS),
        # Without `policies` they are those that the mapping names.
        ({"policy_mapping_fn": lambda agent, episode, **k: "ab"[agent == "agent_1"]}, ("a", "b", "a")),
        ({"policy_mapping_fn": lambda agent, episode, worker, **k: agent[-1]}, ("0", "1", "2")),
        ({"policy_mapping": {"agent_1": "b", "*": "a"}}, ("a", "b", "a")),
        ({"policy_mapping": {"agent_[01]": "x", "agent_*": "y"}, "policies": ["x", "y"]}, ("x", "x", "y")),
    ],
)  # fmt: skip
def test_which_policy_acts_for_whom(settings: dict[str, Any], expected: tuple[str, ...]) -> None:
    assert tuple(mapping(**settings).values()) == expected


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"policies": ["a", "b"]}, "policies has none for agent 'agent_0'; say which by policy_mapping: {agent_0: a}"),
        ({"policies": "a"}, "policies must be names, or a mapping from names to settings, got 'a'"),
        ({"policies": {"a": 3}}, "policies.a must be null, settings"),
        ({"policies": ["a/b"]}, "policies 'a/b' is no name"),
        ({"policies": ["designer"]}, "policies cannot hold 'designer'"),
        ({"policy_mapping": {"*": "designer"}}, "policies cannot hold 'designer'"),
        ({"policies": {"a": PolicySpec(policy_class=dict)}}, "policies.a cannot have a policy_class"),
        ({"policies": {"a": (None, object(), None, {})}}, "policies.a cannot have a observation_space"),
        ({"policies": {"a": {"gamma": 0.5}}}, "policies.a.gamma is no setting of a single policy; set it for all"),
        ({"policies": {"a": {"lr": 0.5}}}, "set it for all agents; known: agent_lr, agent_network"),
        ({"policies": {"a": {"agent_lr": -1}}}, "policies.a.agent_lr must be a number >= 0 or null, got -1"),
        ({"policies": {"a": {"agent_network": {"hidens": [3]}}}}, "policies.a.agent_network.hidens is no setting"),
        (
            {"policies": ["a"], "algorithm_config_overrides_per_module": {"b": {"agent_lr": 0.0}}},
            "algorithm_config_overrides_per_module.b is no policy",
        ),
        ({"algorithm_config_overrides_per_module": ["a"]}, "algorithm_config_overrides_per_module must be a mapping"),
        ({"policies": ["a"], "policies_to_train": ["a", "b"]}, "policies_to_train 'b' is no policy; known: a"),
        ({"policy_mapping_fn": own, "policies_to_train": ["agent_7"]}, "policies_to_train 'agent_7' is no policy"),
        ({"policies_to_train": "agent_0"}, "policies_to_train must be names of policies, got 'agent_0'"),
        ({"policies_to_train": ["agent_9"], "policy_mapping": {"*": "a"}}, "policies_to_train 'agent_9' is no policy"),
        ({"parameter_sharing": True, "policies_to_train": ["agent_0"]}, "'agent_0' is no policy; known: shared"),
        ({"policies": ["a"], "parameter_sharing": True}, "parameter_sharing is one policy for all"),
        ({"policies": ["a"], "policy_mapping": {"*": "b"}}, "policy_mapping.* 'b' is not in policies; known: a"),
        ({"policy_mapping": {"agent_0": "a"}}, "policy_mapping has no entry for agent 'agent_1'"),
        ({"policy_mapping": {"agent_0": 1}}, "policy_mapping must be a mapping from agents to policies or null"),
        ({"policy_mapping": {"*": "a"}, "policy_mapping_fn": own}, "policy_mapping_fn and policy_mapping say the same"),
        ({"policy_mapping_fn": "own"}, "policy_mapping_fn must be a function"),
        ({"policies": ["a"], "policy_mapping_fn": own}, "policy_mapping_fn maps agent 'agent_0' to 'agent_0', which"),
        ({"policy_mapping_fn": lambda agent, episode, **k: 3}, "must give the name of a policy, gave 3 for 'agent_0'"),
        (
            {"policy_mapping_fn": lambda agent, episode, **k: f"p{hash(episode.id_) % 2}"},
            "policy_mapping_fn failed for agent 'agent_0': AttributeError: 'NoneType' object has no attribute 'id_';",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_one_line(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError) as raised:
        mapping(**settings)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_functions_are_asked_once_for_each_agent_and_policy() -> None:
    calls: list[str] = []

    def fickle(agent: str, episode: Any, **kwargs: Any) -> str:
        calls.append(agent)
        return f"p{len(calls) % 2}"

    def trained(policy: str, batch: Any) -> bool:
        calls.append(policy)
        return policy == "p0"

    made = asked(config(policies={"p0", "p1"}, policy_mapping_fn=fickle, policies_to_train=trained), AGENTS)
    for _ in range(3):
        again = made.copy()
        again.validate()
        assert [again.policy_of(agent) for agent in AGENTS] == ["p1", "p0", "p1"]
        assert again.policies_to_train == ["p0"]
    assert calls == [*AGENTS, "p0", "p1"]


def parameters(algorithm: Any) -> dict[str, torch.Tensor]:
    """Copies of the parameters that the runner acts with, by policy."""
    runner = algorithm.env_runner
    return {
        name: torch.as_tensor(theta)[row].clone()
        for stack, theta in zip(runner.stacks, runner._weights["agents"], strict=True)
        for row, name in enumerate(stack.policy_ids)
    }


def who(stacks: Any) -> dict[int, str]:
    return {
        int(k): name for stack in stacks for name, row in zip(stack.policy_ids, stack.agents, strict=True) for k in row
    }


@pytest.mark.integration
@pytest.mark.usefixtures("ray_session")
@pytest.mark.parametrize("start", range(2))
def test_runners_learner_evaluation_and_a_restored_algorithm_share_the_mapping(start: int, tmp_path: Path) -> None:
    count = itertools.count(start)
    made = config(
        policies={"p0", "p1"},
        policy_mapping_fn=lambda agent, episode, **kwargs: f"p{next(count) % 2}",
        evaluation_interval=1,
        evaluation_duration=2,
    )
    algorithm = made.build_algo()
    expected = {i: f"p{(start + i) % 2}" for i in range(3)}
    assert who(algorithm.env_runner.stacks) == who(algorithm.learner_group._learner.stacks) == expected
    algorithm.train()
    assert who(algorithm.eval_env_runner.stacks) == expected  # known from the first evaluation on
    algorithm.save_to_path(tmp_path / "kept")
    algorithm.stop()
    kept = parameters(algorithm)
    # Today the function would say something else: a new algorithm, and one that is restored into, as Tune does it.
    restored, resumed = FixedIncentive.from_checkpoint(tmp_path / "kept"), made.build_algo()
    assert who(resumed.env_runner.stacks) != expected
    resumed.restore_from_path(tmp_path / "kept")
    for again in (restored, resumed):
        assert who(again.env_runner.stacks) == who(again.learner_group._learner.stacks) == expected
        again.train()
        for before, after in zip(kept.values(), parameters(again).values(), strict=True):
            assert 0 < (after - before).abs().max() < 0.1
        again.stop()


def moved(**settings: Any) -> dict[str, float]:
    """How far an update of plain gradient descent moves the parameters of each policy."""
    algorithm = config(agent_loss="pg", agent_optimizer="sgd", agent_lr=0.1, **settings).build_algo()
    before = parameters(algorithm)
    algorithm.train()
    after = parameters(algorithm)
    algorithm.stop()
    return {name: float((after[name] - before[name]).norm()) for name in before}


@pytest.mark.integration
@pytest.mark.usefixtures("ray_session")
def test_a_policy_learns_at_its_own_rate() -> None:
    common = moved(policies=set(AGENTS))
    specs = {"agent_0": PolicySpec(config={"agent_lr": 0.0}), "agent_1": None, "agent_2": {"agent_lr": 0.3}}
    overrides = {"agent_0": get_config_class("FixedIncentive").overrides(agent_lr=0.0), "agent_2": {"agent_lr": 0.3}}
    for given in (
        {"policies": specs},
        {"policies": list(AGENTS), "algorithm_config_overrides_per_module": overrides},
        {"algorithm_config_overrides_per_module": overrides},
    ):
        got = moved(**given)
        assert got["agent_0"] == 0
        assert got["agent_1"] == pytest.approx(common["agent_1"], rel=1e-5)
        assert got["agent_2"] == pytest.approx(3 * common["agent_2"], rel=1e-4)


@pytest.mark.integration
@pytest.mark.usefixtures("ray_session")
def test_the_designer_looks_through_updates_at_rates_and_networks_of_each_policy() -> None:
    policies = {
        "agent_0": {"agent_lr": 0.5},
        "agent_1": {"agent_network": {"hiddens": [5]}},
        "agent_2": {"agent_lr": 0.0},
    }
    made = config(
        "MetaGrad", policies=policies, agent_loss="actor_critic", agent_optimizer="adam", agent_critic_lr=0.01
    )
    algorithm = made.build_algo()
    sizes = {name: row.numel() for name, row in parameters(algorithm).items()}
    # 9 observations and 3 actions: an actor and a critic, 64 and 32 wide or only 5.
    large = (9 * 64 + 64) * 2 + (64 * 32 + 32) * 2 + 33 * 3 + 33
    assert sizes == {"agent_0": large, "agent_1": (9 * 5 + 5) * 2 + 6 * 3 + 6, "agent_2": large}
    results = [algorithm.train()["learners"]["designer"] for _ in range(3)]
    module = algorithm.get_module("agent_1")
    assert sum(p.numel() for p in module.parameters()) == sizes["agent_1"]
    algorithm.stop()
    assert results[-1]["replica_gap"] == 0
    assert results[-1]["meta_gradient_norm"] > 0
