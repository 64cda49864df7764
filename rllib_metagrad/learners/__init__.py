"""Learners: they own parameters and optimizer states, call core, and sum across learners."""

__all__ = [
    "base",
    "designers",
    "devices",
    "distributed",
]
