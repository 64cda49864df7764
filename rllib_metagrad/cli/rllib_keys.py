"""What Ray knows by name, from a file that ``scripts/write_rllib_keys.py`` makes: importing Ray takes seconds."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

__all__ = ["ALGORITHMS", "KEYS", "SCHEDULER_SETTINGS"]

_known: dict[str, Any] = json.loads(files("rllib_metagrad.cli").joinpath("rllib_keys.json").read_text())
#: RLlib's keys with their defaults; None where the default is none of JSON's.
KEYS: dict[str, Any] = _known["keys"]
#: RLlib's own algorithms.
ALGORITHMS: list[str] = _known["algorithms"]
#: Settings of Tune's schedulers.
SCHEDULER_SETTINGS: dict[str, list[str]] = _known["schedulers"]
