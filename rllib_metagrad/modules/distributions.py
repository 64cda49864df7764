"""Action distributions over network outputs ``[..., parameters]``, with legal-action masks and exploration.

Exploration is part of the policy: with rate epsilon an action is drawn uniformly among the legal ones, so the
log-probability of every action is that of the mixture, in sampling, in the agents' update and in its replica.
"""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor

_MASKED = -1e9
_LOG_2PI = math.log(2 * math.pi)


class ActionDistribution(Protocol):
    """A family of distributions, parameterised by network outputs.

    Attributes:
        num_outputs: network outputs it needs.
        num_log_std: parameters that do not depend on the observation (a Gaussian's log standard deviations).
        action_shape: trailing shape of an action: () for discrete ones, (D,) otherwise.
    """

    num_outputs: int
    num_log_std: int
    action_shape: tuple[int, ...]

    def sample(
        self,
        outputs: Tensor,
        log_std: Tensor | None,
        masks: Tensor | None,
        epsilon: float,
        generator: torch.Generator,
    ) -> tuple[Tensor, Tensor]:
        """Draws actions and gives their log-probabilities."""
        ...

    def mode(self, outputs: Tensor, log_std: Tensor | None, masks: Tensor | None) -> Tensor:
        """The most probable actions."""
        ...

    def log_prob(
        self, outputs: Tensor, log_std: Tensor | None, actions: Tensor, masks: Tensor | None, epsilon: float
    ) -> Tensor:
        """Log-probabilities (densities) of actions, exploration included."""
        ...

    def entropy(self, outputs: Tensor, log_std: Tensor | None, masks: Tensor | None) -> Tensor:
        """Entropy of the policy without exploration, in nats."""
        ...

    def fisher_metric(self, outputs: Tensor, masks: Tensor | None, along: Tensor) -> Tensor:
        """The Fisher matrix with respect to outputs, without exploration, times ``along``, a change of them.

        Raises:
            NotImplementedError: for continuous actions.
        """
        ...

    def centered(self, outputs: Tensor, masks: Tensor | None, scores: Tensor, actions: Tensor) -> Tensor:
        """Scores, one for each output, at the actions taken, less their mean under the policy without exploration.

        Raises:
            NotImplementedError: for continuous actions.
        """
        ...


def _masked(logits: Tensor, masks: Tensor | None) -> Tensor:
    return logits if masks is None else torch.where(masks, logits, _MASKED)


def _log_probs(logits: Tensor, masks: Tensor | None, epsilon: float = 0.0) -> Tensor:
    """Log-probabilities ``[..., A]`` of the mixture with the uniform distribution over legal actions.

    Those of illegal actions are never asked for. They are 0 here, because torch's exp takes fifty times as long where
    its result is no normal number.
    """
    log_probs = torch.log_softmax(_masked(logits, masks), dim=-1)
    if masks is not None:
        log_probs = torch.where(masks, log_probs, 0.0)
    if epsilon == 0.0:
        return log_probs
    if masks is None:
        return torch.log((1 - epsilon) * torch.exp(log_probs) + epsilon / log_probs.shape[-1])
    uniform = masks / masks.sum(-1, keepdim=True).clamp(min=1)
    mixture = (1 - epsilon) * torch.exp(log_probs) + epsilon * uniform
    return torch.log(torch.where(masks, mixture, 1.0))


class Categorical:
    """One of ``n`` actions."""

    num_log_std = 0
    action_shape: tuple[int, ...] = ()

    def __init__(self, n: int) -> None:
        self.num_outputs = n

    def sample(
        self,
        outputs: Tensor,
        log_std: Tensor | None,
        masks: Tensor | None,
        epsilon: float,
        generator: torch.Generator,
    ) -> tuple[Tensor, Tensor]:
        """Draws by the exponential race: ``argmax(p / e)``, one batched pass."""
        log_probs = _log_probs(outputs, masks, epsilon)
        probs = torch.exp(log_probs)
        if masks is not None:
            probs = probs * masks
        race = torch.empty(probs.shape, dtype=probs.dtype).exponential_(generator=generator).to(probs.device)
        actions = torch.argmax(probs / race, dim=-1)
        return actions, log_probs.gather(-1, actions.unsqueeze(-1)).squeeze(-1)

    def mode(self, outputs: Tensor, log_std: Tensor | None, masks: Tensor | None) -> Tensor:
        """The action of the largest logit."""
        return torch.argmax(_masked(outputs, masks), dim=-1)

    def log_prob(
        self, outputs: Tensor, log_std: Tensor | None, actions: Tensor, masks: Tensor | None, epsilon: float
    ) -> Tensor:
        """Of actions ``[...]``."""
        log_probs = _log_probs(outputs, masks, epsilon)
        return log_probs.gather(-1, actions.unsqueeze(-1)).squeeze(-1)

    def entropy(self, outputs: Tensor, log_std: Tensor | None, masks: Tensor | None) -> Tensor:
        """In nats."""
        log_probs = _log_probs(outputs, masks)
        return -(torch.exp(log_probs) * log_probs).sum(-1)

    def fisher_metric(self, outputs: Tensor, masks: Tensor | None, along: Tensor) -> Tensor:
        """``(diag(p) - p p^T) along``."""
        probs = torch.softmax(_masked(outputs, masks), dim=-1)
        return probs * (along - (probs * along).sum(-1, keepdim=True))

    def centered(self, outputs: Tensor, masks: Tensor | None, scores: Tensor, actions: Tensor) -> Tensor:
        """``q(a) - sum_b p(b) q(b)``."""
        probs = torch.softmax(_masked(outputs, masks), dim=-1)
        return scores.gather(-1, actions.unsqueeze(-1)).squeeze(-1) - (probs * scores).sum(-1)


class MultiCategorical:
    """Independent choices, one of ``nvec[d]`` each; masks are concatenated."""

    num_log_std = 0

    def __init__(self, nvec: list[int]) -> None:
        self.nvec = nvec
        self.num_outputs = sum(nvec)
        self.action_shape: tuple[int, ...] = (len(nvec),)
        self._parts = [Categorical(n) for n in nvec]

    def _split(self, outputs: Tensor, masks: Tensor | None) -> list[tuple[Categorical, Tensor, Tensor | None]]:
        split_masks = [None] * len(self.nvec) if masks is None else torch.split(masks, self.nvec, dim=-1)
        return list(zip(self._parts, torch.split(outputs, self.nvec, dim=-1), split_masks, strict=True))

    def sample(
        self,
        outputs: Tensor,
        log_std: Tensor | None,
        masks: Tensor | None,
        epsilon: float,
        generator: torch.Generator,
    ) -> tuple[Tensor, Tensor]:
        """Draws each choice; the log-probability is the sum."""
        drawn = [part.sample(o, None, m, epsilon, generator) for part, o, m in self._split(outputs, masks)]
        return torch.stack([a for a, _ in drawn], -1), torch.stack([lp for _, lp in drawn], -1).sum(-1)

    def mode(self, outputs: Tensor, log_std: Tensor | None, masks: Tensor | None) -> Tensor:
        """Each choice's most probable value."""
        return torch.stack([part.mode(o, None, m) for part, o, m in self._split(outputs, masks)], -1)

    def log_prob(
        self, outputs: Tensor, log_std: Tensor | None, actions: Tensor, masks: Tensor | None, epsilon: float
    ) -> Tensor:
        """Of actions ``[..., D]``."""
        terms = [
            part.log_prob(o, None, actions[..., d], m, epsilon)
            for d, (part, o, m) in enumerate(self._split(outputs, masks))
        ]
        return torch.stack(terms, -1).sum(-1)

    def entropy(self, outputs: Tensor, log_std: Tensor | None, masks: Tensor | None) -> Tensor:
        """Sum over choices."""
        return torch.stack([part.entropy(o, None, m) for part, o, m in self._split(outputs, masks)], -1).sum(-1)

    def fisher_metric(self, outputs: Tensor, masks: Tensor | None, along: Tensor) -> Tensor:
        """Block by block, as choices are independent."""
        parts = zip(self._split(outputs, masks), torch.split(along, self.nvec, dim=-1), strict=True)
        return torch.cat([part.fisher_metric(o, m, a) for (part, o, m), a in parts], -1)

    def centered(self, outputs: Tensor, masks: Tensor | None, scores: Tensor, actions: Tensor) -> Tensor:
        """The sum over choices."""
        parts = zip(self._split(outputs, masks), torch.split(scores, self.nvec, dim=-1), strict=True)
        terms = [part.centered(o, m, q, actions[..., d]) for d, ((part, o, m), q) in enumerate(parts)]
        return torch.stack(terms, -1).sum(-1)


class DiagonalGaussian:
    """Continuous actions ``[D]``: the network gives means, standard deviations are free parameters.

    Actions are drawn unbounded; the runner clips what it sends to the environment to the action space's box,
    and log-probabilities are those of the unclipped draws. Exploration by epsilon does not apply: the
    standard deviation explores.
    """

    def __init__(self, size: int) -> None:
        self.num_outputs = size
        self.num_log_std = size
        self.action_shape: tuple[int, ...] = (size,)

    def sample(
        self,
        outputs: Tensor,
        log_std: Tensor | None,
        masks: Tensor | None,
        epsilon: float,
        generator: torch.Generator,
    ) -> tuple[Tensor, Tensor]:
        """Mean plus scaled normal noise."""
        assert log_std is not None
        noise = torch.randn(outputs.shape, generator=generator, dtype=outputs.dtype).to(outputs.device)
        actions = outputs + torch.exp(log_std) * noise
        return actions, self.log_prob(outputs, log_std, actions, None, 0.0)

    def mode(self, outputs: Tensor, log_std: Tensor | None, masks: Tensor | None) -> Tensor:
        """The mean."""
        return outputs

    def log_prob(
        self, outputs: Tensor, log_std: Tensor | None, actions: Tensor, masks: Tensor | None, epsilon: float
    ) -> Tensor:
        """Log-density of actions ``[..., D]``."""
        assert log_std is not None
        z = (actions - outputs) * torch.exp(-log_std)
        return (-0.5 * z * z - log_std - 0.5 * _LOG_2PI).sum(-1)

    def entropy(self, outputs: Tensor, log_std: Tensor | None, masks: Tensor | None) -> Tensor:
        """Of the normal distribution, in nats."""
        assert log_std is not None
        return (log_std + 0.5 * (1 + _LOG_2PI)).expand_as(outputs).sum(-1)

    def fisher_metric(self, outputs: Tensor, masks: Tensor | None, along: Tensor) -> Tensor:
        """Of no use: without entropy an agent's curvature is that of its reward in the action, not ``alpha F``."""
        raise NotImplementedError("designer_response: fisher needs discrete actions")

    def centered(self, outputs: Tensor, masks: Tensor | None, scores: Tensor, actions: Tensor) -> Tensor:
        """Continuous actions have no scores one by one."""
        raise NotImplementedError("designer_response: critic needs discrete actions")
