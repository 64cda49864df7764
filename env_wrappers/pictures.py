"""Small pictures of small games, drawn with Pillow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

# Okabe and Ito's colors, distinguishable with any kind of color vision.
AGENT_COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#666666")
# Those too bright for white digits.
_BRIGHT = ("#E69F00", "#56B4E9", "#F0E442")
_WIDTH, _HEIGHT, _TOP, _BOTTOM = 480, 320, 56, 36


def digit_color(color: str) -> str:
    """Of digits that are to be read on one of AGENT_COLORS."""
    return "#222222" if color in _BRIGHT else "#FFFFFF"


def draw_escape_room(positions: Sequence[int], is_open: bool, t: int, reward: float, m: int) -> np.ndarray:
    """Escape Room: three places, numbered agents in them, and whether the door is open.

    Args:
        positions: of each agent: 0 lever, 1 start, 2 door.
        is_open: whether the door was open in the last step.
        t: steps taken.
        reward: R^ID of the last step.
        m: agents that the lever needs.

    Returns:
        ``[320, 480, 3]`` uint8.
    """
    image = Image.new("RGB", (_WIDTH, _HEIGHT), "#FFFFFF")
    draw = ImageDraw.Draw(image)
    large, small = ImageFont.load_default(18), ImageFont.load_default(14)
    third = _WIDTH // 3
    pulling = sum(p == 0 for p in positions)
    titles = (f"lever {pulling}/{m}", "start", "door open" if is_open else "door shut")
    fills = ("#F3EBDD", "#F2F2F2", "#DDF3E4" if is_open else "#F6DEDE")
    for place in range(3):
        left = place * third
        draw.rectangle((left + 4, _TOP, left + third - 5, _HEIGHT - _BOTTOM), fill=fills[place], outline="#888888")
        draw.text((left + third / 2, _TOP / 2), titles[place], fill="#222222", font=large, anchor="mm")
        members = [i for i, p in enumerate(positions) if p == place]
        columns = 3 if len(members) > 4 else 2
        radius = 20 if len(members) <= 9 else 13
        for k, agent in enumerate(members):
            x = left + third * (k % columns + 1) / (columns + 1)
            y = _TOP + radius + 14 + (k // columns) * (2 * radius + 10)
            box = (x - radius, y - radius, x + radius, y + radius)
            color = AGENT_COLORS[agent % len(AGENT_COLORS)]
            draw.ellipse(box, fill=color, outline="#222222")
            draw.text((x, y), str(agent), fill=digit_color(color), font=small, anchor="mm")
    caption = f"step {t}    designer's reward {reward:+.0f}"
    draw.text((_WIDTH / 2, _HEIGHT - _BOTTOM / 2), caption, fill="#222222", font=small, anchor="mm")
    return np.asarray(image)
