"""Policies, critics and incentive functions: functional networks over stacks of parameter sets."""
