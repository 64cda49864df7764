"""``ai-economist`` 1.7.1, made to run over today's Python and NumPy. All workarounds are in this file.

The package is from 2022 and pins exact versions of a hundred others, so it is installed without them
(:data:`INSTALL`). No file of it is changed; what stands between it and today is:

- GPUtil is imported by the covid scenario and asked whether there are GPUs. Its last release imports ``distutils``,
  gone in Python 3.12, and calls ``nvidia-smi``. A stand-in that knows of no GPU takes its place during the import,
  so neither GPUtil nor WarpDrive (which a GPU would make it import) is needed.
- pycryptodome checks the covid scenario's activation code. Where it is not installed, a stand-in takes its place
  during the import.
- ``np.int`` (layout_from_file.py:212) is gone since NumPy 1.24; :func:`in_its_world` restores it for the time of a
  constructor.
- The package prints, at import and later; stdout is kept away from it.
- It draws from the global ``np.random``; see ``generator.py``.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import sys
import traceback
import warnings
from collections.abc import Iterator
from importlib import metadata, util
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from env_wrappers.gather_trade_build.foundation.generator import LOCK
from env_wrappers.gather_trade_build.foundation.taxes import external_tax
from rllib_metagrad.settings import SettingError

VERSION = "1.7.1"
INSTALL = f"pip install --no-deps ai-economist=={VERSION}"


def load() -> Any:
    """The module ``ai_economist.foundation``, with :mod:`~.taxes`' component registered.

    Raises:
        SettingError: if the package or what it imports is missing, or of another version.
    """
    try:
        version = metadata.version("ai-economist")
    except metadata.PackageNotFoundError as error:
        raise SettingError(
            "backend", f"foundation needs the package ai-economist; install it with: {INSTALL}"
        ) from error
    if version != VERSION:
        raise SettingError(
            "backend",
            f"foundation is for ai-economist {VERSION}, but {version} is installed; install it with: {INSTALL}",
        )
    try:
        with LOCK, _stand_ins(), contextlib.redirect_stdout(io.StringIO()):
            foundation = importlib.import_module("ai_economist.foundation")
    except ModuleNotFoundError as error:
        missing = str(error.name).partition(".")[0]
        hint = INSTALL if missing == "ai_economist" else f"pip install {missing}"
        raise SettingError(
            "backend",
            f"foundation needs ai-economist, but cannot import {error.name!r}; install it with: {hint}",
        ) from error
    external_tax(foundation)
    return foundation


@contextlib.contextmanager
def _stand_ins() -> Iterator[None]:
    """Puts modules in the place of those that the package imports and does not need."""
    stand_ins = {}
    if "GPUtil" not in sys.modules:
        gputil: Any = ModuleType("GPUtil")
        gputil.getAvailable = list
        stand_ins["GPUtil"] = gputil
    try:
        importlib.import_module("Crypto.PublicKey.RSA")
    except ImportError:
        public_key: Any = ModuleType("Crypto.PublicKey")
        public_key.RSA = None
        stand_ins |= {"Crypto": ModuleType("Crypto"), "Crypto.PublicKey": public_key}
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for name in stand_ins:
            sys.modules.pop(name, None)


@contextlib.contextmanager
def in_its_world() -> Iterator[io.StringIO]:
    """For constructors and metrics: with ``np.int``, with stdout captured and without NumPy's runtime warnings.

    Yields:
        what it prints.
    """
    with LOCK, contextlib.redirect_stdout(io.StringIO()) as printed, warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        has_int = "int" in vars(np)
        if not has_int:
            setattr(np, "int", int)  # noqa: B010 - NumPy's types know no such name
        try:
            yield printed
        finally:
            if not has_int:
                delattr(np, "int")


def check_activation(foundation: Any, scenario: str) -> None:
    """Whether the covid scenario can check its activation code; the package would ask for it and wait.

    Raises:
        ValueError: without a code, or without pycryptodome.
    """
    file = folder(foundation) / "activation_code.txt"
    if not file.exists():
        raise ValueError(
            f"gather_trade_build: scenario {scenario} needs an activation code from https://forms.gle/dJ2gKDBqLDko1g7m7"
            f"; write it to {file}, and pip install pycryptodome, which checks it"
        )
    if util.find_spec("Crypto") is None:
        raise ValueError(
            f"gather_trade_build: scenario {scenario} checks the activation code in {file} with pycryptodome, which is "
            "not installed; install it with: pip install pycryptodome"
        )


def refusal(error: BaseException, printed: str) -> str:
    """One line for whatever a constructor of the package raised; its assertions say nothing but themselves."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    # A KeyError's own text is the repr of its argument.
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    # The package prints on stdout that a code is refused, and then the package exits.
    text = (
        printed
        if isinstance(error, SystemExit) and printed
        else f"{text or frame.line or type(error).__name__} {printed}"
    )
    said = " ".join(text.split())
    file = frame.filename.rpartition("/")[2]
    return f"gather_trade_build: ai-economist refuses this configuration: {said} ({file}:{frame.lineno})"


def folder(foundation: Any) -> Path:
    """Where the package's module ``foundation`` lies."""
    return Path(foundation.__file__).parent


def map_files(foundation: Any) -> list[str]:
    """Names of the maps that come with the package."""
    return sorted(path.name for path in _map_folder(foundation).glob("*.txt"))


def map_size(foundation: Any, name: str) -> tuple[int, int]:
    """Rows and columns of a map."""
    rows = [row for row in (_map_folder(foundation) / name).read_text().split(";") if row.strip("\n")]
    return len(rows), max(len(row) for row in rows)


def _map_folder(foundation: Any) -> Path:
    return folder(foundation) / "scenarios" / "simple_wood_and_stone" / "map_txt"
