"""What a cell can look like, as RGB (the colors of the original) or as one-hot planes."""

from __future__ import annotations

import numpy as np

#: Looks of a cell. Agent i is ``AGENT + i``.
FLOOR, WALL, APPLE, WASTE, RIVER, STREAM, OUTSIDE, BEAM, AGENT = range(9)
#: Looks by the symbol of a cell of the map in play, where ``A`` is an apple.
LOOKS = {" ": FLOOR, "@": WALL, "A": APPLE, "H": WASTE, "R": RIVER, "S": STREAM}

_RGB = {
    FLOOR: (0, 0, 0),
    WALL: (180, 180, 180),
    APPLE: (0, 255, 0),
    WASTE: (113, 75, 24),
    RIVER: (99, 156, 194),
    STREAM: (99, 156, 194),
    OUTSIDE: (0, 0, 0),
    BEAM: (100, 255, 255),
}
AGENT_RGB = (
    (159, 67, 255),
    (2, 81, 154),
    (204, 0, 204),
    (216, 30, 54),
    (254, 151, 0),
    (100, 255, 255),
    (99, 99, 255),
    (250, 204, 255),
    (238, 223, 16),
)
#: Planes before those of the agents, in this order; floor and what lies outside are zero in all of them.
PLANES = (WALL, APPLE, WASTE, RIVER, STREAM, BEAM)


def palette(observation: str, num_agents: int) -> np.ndarray:
    """What each look is drawn as.

    Args:
        observation: ``rgb`` or ``planes``.
        num_agents: N. With more than nine, RGB colors repeat.

    Returns:
        ``[AGENT + N, C]`` uint8: C = 3 for RGB; C = 6 + N planes of 0 or 255.
    """
    if observation == "rgb":
        colors = [_RGB[look] for look in range(AGENT)]
        return np.array(colors + [AGENT_RGB[i % len(AGENT_RGB)] for i in range(num_agents)], np.uint8)
    planes = np.zeros((AGENT + num_agents, len(PLANES) + num_agents), np.uint8)
    for plane, look in enumerate(PLANES):
        planes[look, plane] = 255
    for i in range(num_agents):
        planes[AGENT + i, len(PLANES) + i] = 255
    return planes
