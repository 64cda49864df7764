"""Every metric that this package names, once: its name, what it means, and how several values of it become one.

Names are those of RLlib's result dict with ``/`` between levels. ``<agent>``, ``<policy>`` and the like stand for names
that are known only at run time. Where RLlib has a name for the same thing, it is RLlib's. Runners and learners log by
these constants, the command line, figures and benchmarks read by them, and the tables of docs/metrics.md are made of
them. Imports nothing of Ray or torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal, Protocol

Reduce = Literal["mean", "min", "max", "sum", "lifetime_sum"]

TRAINING = "env_runners/"
EVALUATION = "evaluation/env_runners/"
LEARNERS = "learners/"
#: The version that reports no old names any more.
OLD_NAMES_END = "0.3"


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
        was: its name in version 0.1, where it had another one, with the same ``<...>`` in the same order; results hold
            the values under both until :data:`OLD_NAMES_END`.
    """

    meaning: str
    reduce: Reduce
    under: str
    key: tuple[str, ...]
    was: str

    def __new__(
        cls, name: str, meaning: str, reduce: Reduce = "mean", under: str = "", key: Sequence[str] = (), was: str = ""
    ) -> Metric:
        self = super().__new__(cls, name)
        self.meaning, self.reduce, self.under, self.was = meaning, reduce, under, was
        self.key = tuple(key) or tuple(name.split("/"))
        return self

    def __getnewargs__(self) -> tuple[Any, ...]:
        return str(self), self.meaning, self.reduce, self.under, self.key, self.was

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
NET = _sampling(
    "designer_net_return_mean",
    "the first minus the second, unless payments are in R^ID already (`payment`, `toll`): the number that the paper's "
    "figures show",
)
EPISODE_RETURN = _sampling(
    "episode_return_mean", "sum of the agents' environment rewards, without incentives (RLlib's name)"
)
EPISODE_RETURN_MIN = _sampling("episode_return_min", "the least of an episode", "min")
EPISODE_RETURN_MAX = _sampling("episode_return_max", "the largest of an episode", "max")
EPISODE_LENGTH = _sampling("episode_len_mean", "environment steps")
EPISODE_LENGTH_MIN = _sampling("episode_len_min", "the fewest of an episode", "min")
EPISODE_LENGTH_MAX = _sampling("episode_len_max", "the most of an episode", "max")
AGENT_RETURN = _sampling(
    "agent_episode_returns_mean/<agent>", "the agent's environment rewards", was="agent_returns_mean/<agent>"
)
MODULE_RETURN = _sampling(
    "module_episode_returns_mean/<policy>", "environment rewards of all agents for whom the policy acts"
)
AGENT_EPISODE_STEPS = _sampling("agent_steps/<agent>", "steps of an episode in which the agent acted")
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
AGENT_STEPS_SAMPLED = _sampling("num_agent_steps_sampled/<agent>", "steps in which the agent acted", "sum")
AGENT_STEPS_LIFETIME = _sampling("num_agent_steps_sampled_lifetime/<agent>", "the same since the start", "lifetime_sum")
ALL_AGENTS_STEPS_SAMPLED = _sampling(
    "num_agent_steps_sampled/__all_agents__", "the same of all agents", "sum", was="num_agent_steps_sampled/all"
)
MODULE_STEPS_SAMPLED = _sampling("num_module_steps_sampled/<policy>", "the same of all agents of a policy", "sum")
MODULE_STEPS_LIFETIME = _sampling(
    "num_module_steps_sampled_lifetime/<policy>", "the same since the start", "lifetime_sum"
)
EPISODES = _sampling("num_episodes", "finished episodes", "sum")
EPISODES_LIFETIME = _sampling("num_episodes_lifetime", "the same since the start", "lifetime_sum")
ENV_FAILURES = _sampling(
    "num_env_failures",
    "environments that crashed and were replaced by new ones (`restart_failed_sub_environments`)",
    "lifetime_sum",
)

# -- what one-shot games measure --------------------------------------------------------------------------
SHARE_OF_OPTIMUM = _sampling(
    "episode/share_of_optimum",
    "of the one-shot games: R^ID, where 0 is what agents make of the game without prices and 1 under the best ones",
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
    "<policy>/policy_loss",
    "the policy's loss before the last of its M steps, mean over its agents' steps",
    was="agents/<policy>/policy_loss",
)
VF_LOSS = _learning(
    "<policy>/vf_loss",
    "half the mean squared error of the critic (not for `agent_loss: pg`)",
    was="agents/<policy>/vf_loss",
)
ENTROPY = _learning("<policy>/entropy", "of the policy, in nats, exploration left out", was="agents/<policy>/entropy")
KL = _learning(
    "<policy>/mean_kl_loss",
    "KL divergence from the sampling policy to the one before the last step (0 for M = 1)",
    was="agents/<policy>/kl",
)
GRAD_NORM = _learning(
    "<policy>/gradients_default_optimizer_global_norm",
    "L2 norm of the last step's gradient, before clipping",
    was="agents/<policy>/grad_norm",
)
DESIGNER_GRAD_NORM = _learning(
    "designer/gradients_default_optimizer_global_norm",
    "`log_gradients`: L2 norm of eq. (4), the cost of incentives included; dual-RL: of its own loss's gradient",
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
    "L2 norm of the weighted direct effect, a part of the one above",
)
RESPONSE_NORM = _learning(
    "designer/response_norm", "L2 norm of the agents' answer in the designer's gradient; the rest is the direct effect"
)
RESPONSE_SNR = _learning(
    "designer/response_snr",
    "length of its mean over the standard deviation of a single update, over the last hundred or so; 0 if not above "
    "chance (not with `designer_response: update`)",
)
DIRECT_SNR = _learning("designer/direct_snr", "the same of the direct effect")
RESPONSE_RESIDUAL = _learning(
    "designer/response_residual", "`fisher`: relative residual of the solve, the largest of all policies"
)
CROSS_RESPONSE = _learning(
    "designer/cross_response", "`fisher` with `designer_response_cross`: share of agents' answers to each other in w"
)
FOLLOWER_GAP = _learning(
    "agents/<policy>/follower_gap",
    "`fisher`: what the policy would still gain by answering to the end, g^T (alpha F)^-1 g / 2, in units of its loss; "
    "the two g are of different data, so that noise averages out and single values may be negative",
)
RESPONSE_CRITIC_R2 = _learning(
    "agents/<policy>/response_critic_r2",
    "`critic`: share of the variance of the designer's advantage that q explains, on data that it has not seen",
)
PREDICTED_KL = _learning(
    "designer/predicted_kl", "by how much its step moves the agents' answer, nats a step (`designer_response_kl`)"
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
    "designer/vf_loss",
    "half the mean squared error of the designer's critic (`designer_baseline: critic`)",
    was="designer/critic_loss",
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
SAMPLE_SECONDS = Metric(
    "timers/env_runner_sampling_timer", "wall-clock seconds of the iteration in sampling", "sum", was="timers/sample"
)
UPDATE_SECONDS = Metric("timers/learner_update_timer", "the same in the learners' update", "sum", was="timers/update")
SYNC_SECONDS = Metric("timers/synch_weights", "the same in handing out weights", "sum", was="timers/sync_weights")

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
    "sampling": ALL[: ALL.index(SHARE_OF_OPTIMUM)],
    "one-shot": ALL[ALL.index(SHARE_OF_OPTIMUM) : ALL.index(WELFARE)],
    "economies": ALL[ALL.index(WELFARE) : ALL.index(POLICY_LOSS)],
    "learning": ALL[ALL.index(POLICY_LOSS) : ALL.index(ITERATION)],
    "whole": ALL[ALL.index(ITERATION) : ALL.index(TIME)],
    "rllib": ALL[ALL.index(TIME) :],
}
"""The tables of docs/metrics.md, by the name in their markers; there is one more, of old names: ``renamed``."""

_REDUCED = {"mean": "mean", "min": "min", "max": "max", "sum": "sum", "lifetime_sum": "sum, never reset"}


def find(path: str) -> Metric | None:
    """The metric that a key of results is of, or None; of two that fit the one that says more.

    Args:
        path: the full name, such as ``learners/agent_0/entropy``, of training or evaluation; an old name will not do.
    """
    parts = path.removeprefix("evaluation/" if path.startswith(EVALUATION) else "").split("/")
    fitting = [metric for metric in ALL if fits(metric.path.split("/"), parts)]
    return min(fitting, key=lambda metric: metric.count("<"), default=None)


def fits(pattern: Sequence[str], parts: Sequence[str]) -> bool:
    """Whether the levels of a name are those of a pattern, where ``<...>`` may be anything."""
    return len(pattern) == len(parts) and all(
        known.startswith("<") or known == part for known, part in zip(pattern, parts, strict=True)
    )


def table(section: str) -> str:
    """One of :data:`SECTIONS`, or ``renamed``, as a table in Markdown; how RLlib reduces its own is its business."""
    if section == "rllib":
        return _markdown([("key", "meaning"), *((f"`{m}`", m.meaning) for m in SECTIONS[section])])
    if section == "renamed":
        head = ("key", f"in 0.1, kept until {OLD_NAMES_END}")
        return _markdown([head, *((f"`{m.path}`", f"`{m.under}{m.was}`") for m in ALL if m.was)])
    rows = ((f"`{m}`", m.meaning, _REDUCED[m.reduce]) for m in SECTIONS[section])
    return _markdown([("key", "meaning", "reduced by"), *rows])


def _markdown(rows: Sequence[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])
