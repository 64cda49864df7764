"""Learners of each method: which of core's designer steps they take."""

from __future__ import annotations

from collections.abc import Sequence

from rllib_metagrad.core.agent_update import ForwardPass
from rllib_metagrad.core.algorithm import MetaGradSetup, designer_step
from rllib_metagrad.core.baselines import DualRLSetup, amd_designer_step, dual_rl_designer_step
from rllib_metagrad.core.scene import LookingThrough
from rllib_metagrad.core.state import AlgorithmState, Metrics
from rllib_metagrad.core.trajectory import Trajectory
from rllib_metagrad.learners.base import IncentiveLearner
from rllib_metagrad.metrics import REPLICA_GAP

_Stepped = tuple[AlgorithmState, Sequence[ForwardPass] | None, Metrics]


class MetaGradLearner(IncentiveLearner):
    """Algorithm 1 of Yang et al. 2022."""

    def designer_step(self, now: MetaGradSetup, validation: Trajectory, report: bool) -> _Stepped:
        """See the base class; once an iteration a whole replica is compared."""
        stepped = designer_step(now, self.state, validation, want_cost=report, want_gap=self._replica_due)
        if any(one.metric == REPLICA_GAP for one in stepped[2]):
            self._replica_due = False
        return stepped


class AMDLearner(IncentiveLearner):
    """Adaptive mechanism design, Baumann et al. 2020."""

    def designer_step(self, now: LookingThrough, validation: Trajectory, report: bool) -> _Stepped:
        return amd_designer_step(now, self.state, validation, want_cost=report)


class DualRLLearner(IncentiveLearner):
    """The designer as an ordinary RL agent beside the others (the AI Economist's way)."""

    def designer_step(self, now: DualRLSetup, validation: Trajectory, report: bool) -> _Stepped:
        return dual_rl_designer_step(now, self.state, validation)
