"""Gather-Trade-Build: agents collect, trade, build and pay taxes that a designer sets (Zheng et al. 2020, 2022)."""

__all__ = ["foundation", "twin"]
