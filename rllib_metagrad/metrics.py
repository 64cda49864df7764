"""Every metric that this package names, once: its name, what it means, and how several values of it become one.

Names are those of RLlib's result dict with ``/`` between levels. ``<agent>``, ``<policy>`` and the like stand for names
that are known only at run time. Runners and learners log by these constants, the command line, figures and benchmarks
read by them, and the tables of docs/metrics.md are made of them. Imports nothing of Ray or torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal, Protocol

Reduce = Literal["mean", "min", "max", "sum", "lifetime_sum"]

TRAINING = "env_runners/"
EVALUATION = "evaluation/env_runners/"
LEARNERS = "learners/"


class Logger(Protocol):
    """The part of RLlib's ``MetricsLogger`` that is needed here; ``weighted_mean`` is weighted_mean.py's."""

    def log_value(self, key: Any, value: Any, *, reduce: Any) -> None:
        """Notes one value of a metric."""


class Metric(str):
    """A metric's name, below ``under``; a string like any other, so ``TRAINING + NET`` is a key of results.

    Attributes:
        meaning: one line for the docs.
        reduce: how the values of several updates, runners or learners become one.
        under: where it stands in RLlib's result dict: "", or a prefix that ends with ``/``.
        key: the name as RLlib's ``MetricsLogger`` takes it, a part per level.
    """

    meaning: str
    reduce: Reduce
    under: str
    key: tuple[str, ...]

    def __new__(
        cls, name: str, meaning: str, reduce: Reduce = "mean", under: str = "", key: Sequence[str] = ()
    ) -> Metric:
        self = super().__new__(cls, name)
        self.meaning, self.reduce, self.under = meaning, reduce, under
        self.key = tuple(key) or tuple(name.split("/"))
        return self

    def __getnewargs__(self) -> tuple[Any, ...]:
        return str(self), self.meaning, self.reduce, self.under, self.key

    @property
    def path(self) -> str:
        """The full name: of training, for what is there in evaluation, too."""
        return self.under + self

    @property
    def prefix(self) -> str:
        """What stands before the first name that is known only at run time."""
        return self.partition("<")[0]

    @property
    def stem(self) -> str:
        """The name without ``_mean``: `evaluate` returns ``<stem>_mean`` and ``<stem>_se``."""
        return self.removesuffix("_mean")

    def of(self, *names: str) -> Metric:
        """The metric of an agent, a policy, ...: ``names`` in their places, those that are left over below them."""
        left = list(names)
        key = [left.pop(0) if part.startswith("<") else part for part in self.key] + left
        return Metric("/".join(key), self.meaning, self.reduce, self.under, key)

    def log(self, logger: Logger, value: Any) -> None:
        """Notes one value with RLlib, which reduces it as the metric says."""
        logger.log_value(self.key, value, reduce=self.reduce)

    def log_mean(self, logger: Logger, value: Any, weight: float) -> None:
        """Notes a mean over so many episodes or steps, so that means of several runners become one of them all."""
        logger.log_value(self.key, (value, weight), reduce="weighted_mean")


_sampling = partial(Metric, under=TRAINING)
_learning = partial(Metric, under=LEARNERS)

# -- sampling: env_runners/, and the same under evaluation/env_runners/ --------------------------------------
RETURN = _sampling(
    "designer_return_mean", "R^ID: what the designer wants, by default the sum of the agents' environment rewards"
)
PAID = _sampling("incentives_paid_mean", "incentives that agents really received, summed over agents")
NET = _sampling("designer_net_return_mean", "the first minus the second: the number that the paper's figures show")
EPISODE_RETURN = _sampling(
    "episode_return_mean", "sum of the agents' environment rewards, without incentives (RLlib's name)"
)
EPISODE_RETURN_MIN = _sampling("episode_return_min", "the least of an episode", "min")
EPISODE_RETURN_MAX = _sampling("episode_return_max", "the largest of an episode", "max")
EPISODE_LENGTH = _sampling("episode_len_mean", "environment steps")
AGENT_RETURN = _sampling("agent_returns_mean/<agent>", "the agent's environment rewards")
AGENT_INCENTIVES = _sampling("agent_incentives_mean/<agent>", "incentives it received")
OFFERED = _sampling(
    "incentive_offered/<output>", "the designer's output, mean over steps: what an action of this type would earn"
)
PAID_BY_TYPE = _sampling("incentive_paid/<action type>", "incentives paid for actions of this type, in an episode")
ACTION_SHARE = _sampling("action_share/<action type>", "share of agent steps in which an action of this type was taken")
AGENT_ACTION_SHARE = _sampling(
    "agent_action_share/<agent>/<action type>", "the same for one agent: who cleans and who eats"
)
EPISODE = _sampling("episode/<name>", "what the environment itself measures of its episodes, see below")
STEPS_SAMPLED = _sampling("num_env_steps_sampled", "environment steps of real episodes (padding does not count)", "sum")
RUNNERS_STEPS = _sampling("num_env_steps_sampled_lifetime", "the same since the start", "lifetime_sum")
AGENT_STEPS_SAMPLED = _sampling("num_agent_steps_sampled/all", "agent steps", "sum")
EPISODES = _sampling("num_episodes", "finished episodes", "sum")
EPISODES_LIFETIME = _sampling("num_episodes_lifetime", "the same since the start", "lifetime_sum")
ENV_FAILURES = _sampling(
    "num_env_failures",
    "environments that crashed and were replaced by new ones (`restart_failed_sub_environments`)",
    "lifetime_sum",
)

# -- what economies measure of their episodes -----------------------------------------------------------------
WELFARE = _sampling(
    "episode/welfare",
    "sum over the episode's steps of productivity times equality after the step; the paper's objective",
)
PRODUCTIVITY = _sampling("episode/productivity", "all agents' coin after the last step, escrow included")
EQUALITY = _sampling(
    "episode/equality",
    "after the last step: 1 less the Gini index of coin, times N / (N - 1); 1 if all own alike, 0 if one owns all",
)
TRADES = _sampling("episode/trades", "how many")
TAX_RATE = _sampling(
    "episode/tax_rate/<income>",
    "marginal rate of the bracket that begins at this income, mean over steps, caps applied",
)
INCOME = _sampling(
    "episode/income/<rank>", "change of coin without taxes and what is handed out: before redistribution"
)
TAX_PAID = _sampling("episode/tax_paid/<rank>", "taxes")
INCOME_AFTER = _sampling(
    "episode/income_after_redistribution/<rank>", "change of coin: income less tax, plus an equal share of all taxes"
)
INCOME_FROM_BUILDING = _sampling("episode/income_from_building/<rank>", "what houses paid")
INCOME_FROM_TRADING = _sampling("episode/income_from_trading/<rank>", "sales less purchases, at the prices paid")
STONE = _sampling("episode/stone_collected/<rank>", "units")
WOOD = _sampling("episode/wood_collected/<rank>", "units")
HOUSES = _sampling("episode/houses/<rank>", "how many were built")
LABOR = _sampling("episode/labor/<rank>", "of the episode")

# -- learning: learners/ -------------------------------------------------------------------------------------
POLICY_LOSS = _learning(
    "agents/<policy>/policy_loss", "the policy's loss before the last of its M steps, mean over its agents' steps"
)
VF_LOSS = _learning("agents/<policy>/vf_loss", "half the mean squared error of the critic (not for `agent_loss: pg`)")
ENTROPY = _learning("agents/<policy>/entropy", "of the policy, in nats, exploration left out")
KL = _learning(
    "agents/<policy>/kl", "KL divergence from the sampling policy to the one before the last step (0 for M = 1)"
)
GRAD_NORM = _learning("agents/<policy>/grad_norm", "L2 norm of the last step's gradient, before clipping")
GLOBAL_NORM = _learning(
    "<module>/gradients_default_optimizer_global_norm",
    "`log_gradients`: the same under RLlib's name; for the designer the L2 norm of eq. (4), the cost of incentives "
    "included",
)
DESIGNER_VALUE = _learning(
    "designer/return", "mean over steps of the (discounted) return or value target of R^ID; dual-RL: minus incentives"
)
DESIGNER_LOSS = _learning(
    "designer/loss", "outer loss, eq. (5) or its REINFORCE form, on the validation trajectory; dual-RL: its own loss"
)
META_GRADIENT_NORM = _learning(
    "designer/meta_gradient_norm", "L2 norm of the first term of eq. (4), with respect to eta"
)
DIRECT_GRADIENT_NORM = _learning(
    "designer/direct_gradient_norm",
    "L2 norm of the weighted direct effect (`designer_direct_coeff`), a part of the one above",
)
DESIGNER_COST = _learning("designer/cost", "psi: mean over steps of the discounted cost of incentives")
COST_GRADIENT_NORM = _learning(
    "designer/cost_gradient_norm",
    "L2 norm of its gradient; where psi has no weight, of an iteration's last update only",
)
REPLICA_GAP = _learning(
    "designer/replica_gap",
    "largest difference between a replicated and a real parameter of any agent; must be rounding; of an iteration's "
    "first update that the designer looks through",
    "max",
)
CLONING_KL = _learning(
    "designer/cloning_kl",
    "`agent_model: cloned`: KL divergence from the agents to their fitted surrogates, estimated on the actions seen",
)
DESIGNER_CRITIC_LOSS = _learning(
    "designer/critic_loss", "half the mean squared error of the designer's critic (`designer_baseline: critic`)"
)
DESIGNER_ENTROPY = _learning("designer/entropy", "dual-RL: of the designer's own policy")
STEPS_TRAINED = _learning("__all_modules__/num_env_steps_trained", "environment steps that agents learned from", "sum")
STEPS_TRAINED_LIFETIME = _learning(
    "__all_modules__/num_env_steps_trained_lifetime", "the same since the start", "lifetime_sum"
)
SKIPPED_UPDATES = _learning(
    "__all_modules__/num_skipped_updates", "updates dropped for NaN or infinity (`nan_policy: skip`)", "sum"
)
DESIGNER_UPDATE_SECONDS = _learning(
    "timers/designer_update", "wall-clock seconds of the iteration in the designer's half of the update", "sum"
)
AGENTS_UPDATE_SECONDS = _learning("timers/agents_update", "the same in the agents' half", "sum")
TRAINABLE_PARAMETERS = _learning("<module>/num_trainable_parameters", "RLlib's count of parameters", "sum")
OTHER_PARAMETERS = _learning("<module>/num_non_trainable_parameters", "RLlib's count of the others", "sum")

# -- the whole iteration -------------------------------------------------------------------------------------
ITERATION = Metric(
    "training_iteration", "calls of `train()`; each makes `num_updates_per_iteration` updates", "lifetime_sum"
)
ENV_STEPS = Metric("num_env_steps_sampled_lifetime", "environment steps so far", "lifetime_sum")
CPU_SECONDS = Metric(
    "cpu_seconds",
    "CPU time of the process that runs the algorithm, since it was built (sampling and learning, where they are local)",
    "lifetime_sum",
)
STALE_TRAJECTORIES = Metric(
    "num_stale_trajectories",
    "trajectories dropped because a runner had sampled them with old weights (their episodes do count in "
    "`env_runners/`)",
    "lifetime_sum",
)
SAMPLE_SECONDS = Metric("timers/sample", "wall-clock seconds of the iteration in sampling", "sum")
UPDATE_SECONDS = Metric("timers/update", "the same in the learners' update", "sum")
SYNC_SECONDS = Metric("timers/sync_weights", "the same in handing out weights", "sum")

# -- what RLlib and Tune add ---------------------------------------------------------------------------------
TIME = Metric("time_total_s", "wall-clock seconds of all iterations", "lifetime_sum")
TIME_THIS_ITERATION = Metric("time_this_iter_s", "wall-clock seconds of the iteration", "sum")
TIME_SINCE_RESTORE = Metric("time_since_restore", "wall-clock seconds since the last restore", "lifetime_sum")
ITERATIONS_SINCE_RESTORE = Metric("iterations_since_restore", "iterations since the last restore", "lifetime_sum")
STEP_CALLS = Metric("num_training_step_calls_per_iteration", "always 1 here", "sum")
OTHER_TIMERS = Metric("timers/<phase>", "seconds in RLlib's other phases, smoothed")
FAULTS = Metric("fault_tolerance/<count>", "healthy env runners, restarts, dropped ones", "sum")
EVALUATION_FAULTS = Metric("evaluation/<count>", "the same of evaluation's env runners", "sum")
REQUESTS = Metric("env_runner_group/<count>", "requests that env runners have not answered yet", "sum")
MACHINE = Metric("perf/<resource>", "use of CPU and memory, where psutil is installed")

ALL: tuple[Metric, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Metric))
"""Every metric, in the order of the docs."""

SECTIONS: dict[str, tuple[Metric, ...]] = {
    "sampling": ALL[: ALL.index(WELFARE)],
    "economies": ALL[ALL.index(WELFARE) : ALL.index(POLICY_LOSS)],
    "learning": ALL[ALL.index(POLICY_LOSS) : ALL.index(ITERATION)],
    "whole": ALL[ALL.index(ITERATION) : ALL.index(TIME)],
    "rllib": ALL[ALL.index(TIME) :],
}
"""The tables of docs/metrics.md, by the name in their markers."""

_REDUCED = {"mean": "mean", "min": "min", "max": "max", "sum": "sum", "lifetime_sum": "sum, never reset"}


def find(path: str) -> Metric | None:
    """The metric that a key of results is of, or None; of two that fit the one that says more.

    Args:
        path: the full name, such as ``learners/agents/agent_0/kl``, of training or evaluation.
    """
    parts = path.removeprefix("evaluation/" if path.startswith(EVALUATION) else "").split("/")
    fitting = [metric for metric in ALL if _fits(metric.path.split("/"), parts)]
    return min(fitting, key=lambda metric: metric.count("<"), default=None)


def _fits(pattern: Sequence[str], parts: Sequence[str]) -> bool:
    return len(pattern) == len(parts) and all(
        known.startswith("<") or known == part for known, part in zip(pattern, parts, strict=True)
    )


def table(section: str) -> str:
    """One of :data:`SECTIONS` as a table in Markdown; how RLlib reduces its own is its business."""
    if section == "rllib":
        return _markdown([("key", "meaning"), *((f"`{m}`", m.meaning) for m in SECTIONS[section])])
    rows = ((f"`{m}`", m.meaning, _REDUCED[m.reduce]) for m in SECTIONS[section])
    return _markdown([("key", "meaning", "reduced by"), *rows])


def _markdown(rows: Sequence[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])
