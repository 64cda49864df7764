"""Learners: they own parameters and optimiser states, call core, and sum across learners."""

__all__ = [
    "base",
    "designers",
    "devices",
    "distributed",
]
