"""Pictures of Cleanup for people, larger and clearer than what agents see."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from env_wrappers.cleanup.colors import AGENT, APPLE, BEAM, FLOOR, OUTSIDE, RIVER, STREAM, WALL, WASTE, palette
from env_wrappers.cleanup.config import FACINGS

CELL, CAPTION = 32, 28
_TEXT = {FLOOR: " ", WALL: "@", APPLE: "A", WASTE: "H", RIVER: "R", STREAM: "S", OUTSIDE: " ", BEAM: "*"}


def draw_cleanup(
    looks: np.ndarray, positions: Sequence[tuple[int, int]], facings: Sequence[int], t: int, reward: float
) -> np.ndarray:
    """The map with numbered agents, which way they face, apples, waste and the beams of the last step.

    Args:
        looks: ``[rows, columns]`` of every cell, with beams and agents (colors.py).
        positions: cells of the agents.
        facings: of the agents.
        t: steps taken.
        reward: R^ID of the last step.

    Returns:
        ``[32 rows + 28, 32 columns, 3]`` uint8.
    """
    colors = palette("rgb", len(positions))
    ground = np.where((looks == APPLE) | (looks >= AGENT), FLOOR, looks)
    picture = colors[ground]
    # A floor of black would hide the lines between cells.
    picture[ground == FLOOR] = 38
    picture = picture.repeat(CELL, 0).repeat(CELL, 1)
    picture[::CELL] = picture[:, ::CELL] = 20
    image = Image.new("RGB", (picture.shape[1], picture.shape[0] + CAPTION), "#FFFFFF")
    image.paste(Image.fromarray(picture), (0, 0))
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(14)
    for r, c in np.argwhere(looks == APPLE):
        draw.ellipse((*_corner(r, c, 8), *_corner(r + 1, c + 1, -8)), fill=tuple(colors[APPLE].tolist()))
    for i, (r, c) in enumerate(positions):
        fill = tuple(colors[AGENT + i].tolist())
        draw.ellipse((*_corner(r, c, 3), *_corner(r + 1, c + 1, -3)), fill=fill, outline="#FFFFFF")
        rows, columns = FACINGS[facings[i]]
        y, x = r * CELL + CELL / 2, c * CELL + CELL / 2
        tip = (x + 15 * columns, y + 15 * rows)
        base = (x + 9 * columns, y + 9 * rows)
        side = (5 * rows, 5 * columns)
        corners = [tip, (base[0] + side[0], base[1] + side[1]), (base[0] - side[0], base[1] - side[1])]
        draw.polygon(corners, fill="#FFFFFF")
        bright = sum(fill) > 450
        draw.text((x, y), str(i), fill="#222222" if bright else "#FFFFFF", font=font, anchor="mm")
    middle = (image.width / 2, image.height - CAPTION / 2)
    draw.text(middle, f"step {t}    designer's reward {reward:+g}", fill="#222222", font=font, anchor="mm")
    return np.asarray(image)


def as_text(looks: np.ndarray, t: int, reward: float) -> str:
    """The map in characters: agents are digits (the last one of their number), beams stars, apples A."""
    rows = [
        "".join(_TEXT[look] if look < AGENT else str((look - AGENT) % 10) for look in row) for row in looks.tolist()
    ]
    return "\n".join([f"t={t}  reward {reward:g}", *rows])


def _corner(r: int, c: int, inset: int) -> tuple[float, float]:
    return float(c * CELL + inset), float(r * CELL + inset)
