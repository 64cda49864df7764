"""A user's own torch module as a network over stacks of parameters, see docs/extending.md."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.autograd.forward_ad as forward_ad
from torch import Tensor, nn

from rllib_metagrad.modules.networks import Leaf, Network
from rllib_metagrad.settings import NetworkSettings, SettingError
from rllib_metagrad.settings.import_path import import_class


def find_module(key: str, settings: NetworkSettings, with_features: bool) -> type[nn.Module]:
    """The class of a user's own network, as far as it can be checked without an environment.

    Args:
        key: of the network, for messages.
        settings: with ``custom``.
        with_features: whether it is a designer's, which is also given the joint action.

    Raises:
        SettingError: on one line, if there is no such module, or its constructor does not take what it is given.
    """
    path = str(settings.custom)
    try:
        found = import_class(path, nn.Module)
    except ValueError as error:
        raise SettingError(f"{key}.custom", str(error)) from error
    keywords = {**({"num_features": 0} if with_features else {}), **settings.custom_config}
    inputs = ["inputs", "features"][: 2 if with_features else 1]
    for what, method, given, named in (
        ("its constructor", found, ["input_shape", "num_outputs"], keywords),
        ("forward", found.forward, ["self", *inputs], {}),
    ):
        try:
            inspect.signature(method).bind(*given, **named)
        except TypeError as error:
            names = ", ".join([*given, *(f"{name}=" for name in named)])
            raise SettingError(f"{key}.custom", f"{path}: {what} must take ({names}): {error}") from None
    return found


def make_network(
    key: str,
    input_shape: Sequence[int],
    output_size: int,
    settings: NetworkSettings,
    prefix: str,
    num_features: int | None = None,
    picture_shape: Sequence[int] | None = None,
) -> Network | ModuleNetwork:
    """The network that settings describe: layers of ours, or a user's module.

    Args:
        key: of the network, for messages.
        input_shape, output_size, settings, prefix, picture_shape: see :class:`Network`.
        num_features: width of a designer's second input, the joint action; None for networks that have no such input.

    Raises:
        SettingError: if a module of the user's cannot be used.
    """
    if settings.custom is None:
        return Network(input_shape, output_size, settings, prefix, num_features or 0, picture_shape=picture_shape)
    return ModuleNetwork(key, input_shape, output_size, settings, prefix, num_features)


class FunctionalModule:
    """A ``torch.nn.Module`` as pure function of stacked leaves: ``functional_call``, mapped over the stack by ``vmap``.

    Its constant buffers are those that it has with torch's generator at seed 0, the same in every process.

    Args:
        key: of the setting that names it, for messages.
        name: of the module, for messages.
        construct: makes one, with fresh parameters from torch's own generator.
        examples: three rows of each of its inputs, ``[3, *shape]``.
        output_size: of what it returns, ``[n, output_size]`` for n rows.
        prefix: of the leaves' names.

    Raises:
        SettingError: on one line, unless the module is a function of its parameters and each row of its input that can
            be differentiated as the meta-gradient needs.
    """

    def __init__(
        self,
        key: str,
        name: str,
        construct: Callable[[], nn.Module],
        examples: Sequence[Tensor],
        output_size: int,
        prefix: str,
    ) -> None:
        self._construct = construct
        try:
            self.module = self._make(0)
            self._names = [name for name, _ in self.module.named_parameters()]
            self.leaves = [
                Leaf(prefix + name.replace(".", "__"), tuple(value.shape), 0.0, self.draw)
                for name, value in self.module.named_parameters()
            ]
            problem = self._problem(examples, output_size)
        except SettingError:
            raise
        except Exception as error:  # a user's module may raise anything
            first = " ".join(str(error).split(". ")[0].split())
            shape = tuple(examples[0].shape[1:])
            problem = f"fails with inputs of shape {shape}: {type(error).__name__}: {first}"
        if problem is not None:
            raise SettingError(key, f"{name} {problem}")

    def draw(self, stack: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Start of a stack of modules, each as its constructor leaves it, by the leaves' names: ``[P, *shape]``."""
        seeds = torch.randint(2**62, (stack,), generator=generator).tolist()
        started = [dict(self._make(seed).named_parameters()) for seed in seeds]
        return {
            leaf.name: torch.stack([parameters[name].detach() for parameters in started])
            for leaf, name in zip(self.leaves, self._names, strict=True)
        }

    def run(self, leaves: Sequence[Tensor], *inputs: Tensor, **fixed: Any) -> Tensor:
        """Runs the modules.

        Args:
            leaves: of :attr:`leaves`, each ``[P, *shape]``; more may follow.
            inputs: ``[P, n, *shape]``.
            fixed: further arguments of the module.

        Returns:
            ``[P, n, output_size]``.
        """
        parameters, like = dict(zip(self._names, leaves, strict=False)), leaves[0]
        buffers = {
            name: value.to(like) if value.is_floating_point() else value.to(like.device)
            for name, value in self.module.named_buffers()
        }

        def call(parameters: dict[str, Tensor], *inputs: Tensor) -> Tensor:
            return torch.func.functional_call(self.module, (parameters, buffers), inputs, fixed)

        return torch.vmap(call)(parameters, *inputs)

    def _make(self, seed: int) -> nn.Module:
        with _torch_seed(seed):
            return self._construct()

    def _problem(self, inputs: Sequence[Tensor], output_size: int) -> str | None:
        """What makes the module unfit, found with examples of inputs; None if nothing does."""
        if not self.leaves:
            return "has no parameters"
        if frozen := [name for name, value in self.module.named_parameters() if not value.requires_grad]:
            return f"has a parameter that must not learn, {frozen[0]}: make it a buffer"
        before = {name: value.clone() for name, value in self.module.named_buffers()}
        with torch.no_grad(), _torch_seed(1):
            outputs, again = self.module(*inputs), self.module(*inputs)
            alone = self.module(*(value[:2] for value in inputs))
        changed = [name for name, value in self.module.named_buffers() if not torch.equal(before[name], value)]
        if changed:
            return f"changes its buffer {changed[0]} when it runs (BatchNorm's running statistics?): use LayerNorm"
        if outputs.shape != (3, output_size):
            return f"must return {(3, output_size)} for 3 rows, got {tuple(outputs.shape)}"
        if not torch.equal(outputs, again):
            return "gives two answers to one question (Dropout?): outputs must be a function of parameters and inputs"
        if not torch.allclose(outputs[:2], alone, rtol=1e-3, atol=1e-4):
            return "mixes rows (BatchNorm?): each row of the output must depend on the same row of the input alone"
        self._differentiate([value.unsqueeze(0) for value in inputs])
        return None

    def _differentiate(self, inputs: list[Tensor]) -> None:
        """Forward mode over reverse mode, and reverse over reverse; raises what torch raises where it cannot."""
        start = self.draw(1, torch.Generator().manual_seed(0))
        leaves = [start[leaf.name].requires_grad_() for leaf in self.leaves]
        with forward_ad.dual_level():
            duals = [forward_ad.make_dual(leaf, torch.ones_like(leaf)) for leaf in leaves]
            torch.autograd.grad(self.run(duals, *inputs).square().sum(), duals, allow_unused=True)
        grads = torch.autograd.grad(
            self.run(leaves, *inputs).square().sum(), leaves, create_graph=True, allow_unused=True
        )
        total = sum((grad.square().sum() for grad in grads if grad is not None), torch.zeros(()))
        if total.requires_grad:
            torch.autograd.grad(total, leaves, allow_unused=True)


class ModuleNetwork(FunctionalModule):
    """A user's module, by the import path in settings.

    Pictures (uint8) reach the module as floats in [0, 1], channels last; all else as floats.

    Args:
        key, input_shape, output_size, settings, prefix, num_features: see :func:`make_network`.

    Raises:
        SettingError: see :class:`FunctionalModule`.
    """

    def __init__(
        self,
        key: str,
        input_shape: Sequence[int],
        output_size: int,
        settings: NetworkSettings,
        prefix: str,
        num_features: int | None,
    ) -> None:
        found = find_module(key, settings, num_features is not None)
        keywords = {} if num_features is None else {"num_features": num_features}
        keywords |= settings.custom_config
        self.num_features = num_features
        generator = torch.Generator().manual_seed(0)
        examples = [torch.rand(3, *input_shape, generator=generator)]
        if num_features is not None:
            examples.append(torch.rand(3, num_features, generator=generator))
        super().__init__(
            f"{key}.custom",
            str(settings.custom),
            lambda: found(tuple(input_shape), output_size, **copy.deepcopy(keywords)),
            examples,
            output_size,
            prefix,
        )

    def apply(self, leaves: Sequence[Tensor], x: Tensor, extra: Tensor | None = None) -> Tensor:
        """Runs the modules.

        Args:
            leaves: of :attr:`leaves`, each ``[P, *shape]``; more may follow.
            x: ``[P, n, *input_shape]``.
            extra: ``[P, n, num_features]``, of a designer.

        Returns:
            ``[P, n, output_size]``.
        """
        like = leaves[0]
        x = x.to(like) / 255 if x.dtype == torch.uint8 else x.to(like)
        if self.num_features is None:
            return self.run(leaves, x)
        return self.run(leaves, x, x.new_zeros(*x.shape[:2], 0) if extra is None else extra.to(like))


def check_networks(networks: dict[str, Any]) -> None:
    """Checks users' own networks as far as they can be without an environment.

    Args:
        networks: settings by key; None where there is no network.

    Raises:
        SettingError: on one line, see :func:`find_module`.
    """
    for key, settings in networks.items():
        if settings is not None and settings.custom is not None:
            find_module(key, settings, with_features=key != "agent_network")


@contextmanager
def _torch_seed(seed: int) -> Iterator[None]:
    """Torch's global generator of the CPU at a seed, and afterwards where it was."""
    state = torch.default_generator.get_state()
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        torch.default_generator.set_state(state)
