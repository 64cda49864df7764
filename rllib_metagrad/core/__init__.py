"""The mathematics of incentive design by meta-gradient: pure torch, no ray, no files, no global state."""

__all__ = [
    "agent_update",
    "algorithm",
    "baselines",
    "cloning",
    "decisions",
    "designer_objective",
    "losses",
    "meta_gradient",
    "minibatches",
    "optimizers",
    "reduction",
    "returns",
    "state",
    "trajectory",
]
