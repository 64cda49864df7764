"""Readers of Tune's run folders, and the figures and tables made from them. Needs no Ray."""

from rllib_metagrad.analysis.report import Report, write_report
from rllib_metagrad.analysis.runs import Curve, Group, TrialRun, curve, group_trials, load_runs

__all__ = ["Curve", "Group", "Report", "TrialRun", "curve", "group_trials", "load_runs", "write_report"]
