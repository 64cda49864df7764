"""A user's Python file as a module whose functions and classes reach every worker."""

from __future__ import annotations

import importlib.util
import pathlib
import re
import shutil
import sys
from types import ModuleType

from rllib_metagrad.cli.errors import BadInputError, one_line
from rllib_metagrad.cli.run_folder import SPEC_FILE

__all__ = ["copy_into", "import_file", "kept_with"]


def import_file(file: str | pathlib.Path, advice: str = "") -> ModuleType:
    """Runs a Python file as a module of its own name, beside which it finds its neighbors.

    What it defines is pickled whole: a trial's process may be on a machine that does not have the file.

    Args:
        file: its path.
        advice: the end of the message.

    Raises:
        BadInputError: it raised something.
    """
    from ray import cloudpickle

    path = pathlib.Path(file).absolute()
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    name = _module_name(path)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    # Before it runs: what it registers with Ray is pickled at once.
    cloudpickle.register_pickle_by_value(module)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever the user's code raises is the user's to read
        del sys.modules[name]
        raise BadInputError(f"{file}: {type(error).__name__}: {one_line(error)}{advice}") from error
    return module


def _module_name(path: pathlib.Path) -> str:
    """The file's own name, by which it can be imported, unless that is another module's."""
    name = path.stem
    if name.isidentifier():
        sys.modules.pop(name, None) if _file_of(sys.modules.get(name)) == path else None
        known = sys.modules.get(name) or importlib.util.find_spec(name)
        if known is None or _file_of(known) == path:
            return name
    return "rllib_experiment_" + re.sub(r"\W", "_", name)


def _file_of(module: object) -> pathlib.Path | None:
    origin = getattr(module, "__file__", None) or getattr(module, "origin", None)
    return pathlib.Path(origin).absolute() if origin else None


def copy_into(folder: pathlib.Path, file: str) -> None:
    """Keeps a Python file with its run, for `rllib evaluate`."""
    if file.endswith(".py"):
        shutil.copyfile(file, folder / pathlib.Path(file).name)


def kept_with(checkpoint: pathlib.Path) -> pathlib.Path | None:
    """The Python file that a checkpoint's run was trained from; None if there was none."""
    run = next((folder for folder in checkpoint.parents if (folder / SPEC_FILE).is_file()), None)
    return next(iter(sorted(run.glob("*.py"))), None) if run is not None else None
