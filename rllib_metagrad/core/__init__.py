"""The mathematics of incentive design by meta-gradient: pure torch, no ray, no files, no global state."""
