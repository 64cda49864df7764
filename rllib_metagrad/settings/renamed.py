"""Keys and values of version 0.1 that have another name now; each is accepted for one version."""

from __future__ import annotations

import logging
from typing import Any

logger = logging.getLogger("rllib_metagrad")

KEYS = {"designer_factorised": "designer_factorized"}
VALUES = {("designer_cost", "realised"): "realized"}


def current(key: str, value: Any) -> tuple[str, Any]:
    """A key and its value by their names of today; warns in one line where they had another."""
    if key in KEYS:
        logger.warning("%s is now called %s; the old name goes with the next version", key, KEYS[key])
        key = KEYS[key]
    if isinstance(value, str) and (key, value) in VALUES:
        new = VALUES[key, value]
        logger.warning("%s: %s is now spelled %s; the old spelling goes with the next version", key, value, new)
        value = new
    return key, value
