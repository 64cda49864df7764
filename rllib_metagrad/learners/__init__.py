"""Learners: they own parameters and optimiser states, call core, and sum across learners."""
