"""A checkpoint's designer, to be played frozen: what it is built of, and its parameters.

Both stand in the folder of the designer's RLModule, whatever algorithm wrote it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ray.rllib.core.rl_module.rl_module import RLModule

from rllib_metagrad.checkpoint_files import policies_of_checkpoint
from rllib_metagrad.modules.fit import designer_facts
from rllib_metagrad.modules.rl_modules import DESIGNER, DesignerModule
from rllib_metagrad.settings import FrozenDesigner, SettingError

__all__ = ["read_module", "read_parameters", "read_settings"]

_KEY = "designer_checkpoint"


def read_module(checkpoint: Path) -> DesignerModule:
    """The designer of a checkpoint as RLlib holds it.

    Raises:
        SettingError: if there is no such checkpoint, it has no designer, or it cannot be read.
    """
    try:
        folder = policies_of_checkpoint(checkpoint, _KEY)
    except ValueError as error:
        raise SettingError(_KEY, str(error).removeprefix(f"{_KEY}: ")) from error
    if not (folder / DESIGNER).is_dir():
        raise SettingError(_KEY, f"{checkpoint} has no designer; name a checkpoint of an algorithm of rllib_metagrad")
    try:
        module = RLModule.from_checkpoint((folder / DESIGNER).absolute())
    except Exception as error:  # anything can be wrong in a folder that someone hands us
        message = " ".join(str(error).split())
        raise SettingError(_KEY, f"{checkpoint} cannot be read: {type(error).__name__}: {message}") from error
    if not isinstance(module, DesignerModule):
        raise SettingError(
            _KEY, f"{checkpoint} has a module {DESIGNER!r} that is no designer, a {type(module).__name__}"
        )
    if module.model_config["incentives"].centralized:
        raise SettingError(_KEY, f"{checkpoint} is of one policy for all agents, which nobody pays; it has no designer")
    return module


def read_settings(checkpoint: Path) -> FrozenDesigner:
    """What the designer of a checkpoint is built of; raises as :func:`read_module`."""
    own = read_module(checkpoint).model_config
    return FrozenDesigner(own["designer"], own["incentives"], designer_facts(own["env_spec"]))


def read_parameters(checkpoint: Path) -> dict[str, Any]:
    """Its parameters by name, those of its critic among them; raises as :func:`read_module`."""
    return dict(read_module(checkpoint).get_state())
