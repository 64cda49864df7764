"""Policies, critics and incentive functions: functional networks over stacks of parameter sets."""

__all__ = [
    "designer",
    "distributions",
    "filters",
    "networks",
    "policy",
    "population",
    "recurrent",
    "rl_modules",
    "spec",
]
