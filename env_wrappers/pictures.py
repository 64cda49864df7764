"""Small pictures of small games, drawn with Pillow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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


def draw_matrix_game(payoffs: np.ndarray, names: Sequence[str], last: Sequence[int] | None, t: int) -> np.ndarray:
    """A matrix game: both players' payoffs in a table, and the cell that was played.

    Args:
        payoffs: ``[2, 2, 2]``: first player's action (rows), second player's (columns), player.
        names: of the actions.
        last: both players' last actions, or None before the first round.
        t: rounds played.

    Returns:
        ``[320, 480, 3]`` uint8.
    """
    image = Image.new("RGB", (_WIDTH, _HEIGHT), "#FFFFFF")
    draw = ImageDraw.Draw(image)
    large, small = ImageFont.load_default(18), ImageFont.load_default(14)
    left, cell, row = 140, 160, 100
    for k, name in enumerate(names):
        draw.text((left + cell * (k + 0.5), _TOP / 2), name, fill=AGENT_COLORS[1], font=small, anchor="mm")
        draw.text((left / 2, _TOP + row * (k + 0.5)), name, fill=AGENT_COLORS[0], font=small, anchor="mm")
    for first in range(2):
        for second in range(2):
            x, y = left + cell * second, _TOP + row * first
            played = last is not None and (first, second) == tuple(last)
            draw.rectangle((x + 4, y + 4, x + cell - 5, y + row - 5), "#DDF3E4" if played else "#F2F2F2", "#888888")
            for player in range(2):
                place = (x + cell * (player + 1) / 3, y + row / 2)
                value = f"{payoffs[first, second, player]:g}"
                draw.text(place, value, fill=AGENT_COLORS[player], font=large, anchor="mm")
    caption = f"round {t}" + ("" if last is None else f"    designer's reward {payoffs[tuple(last)].sum():+g}")
    draw.text((_WIDTH / 2, _HEIGHT - _BOTTOM / 2), caption, fill="#222222", font=small, anchor="mm")
    return np.asarray(image)


_LINE, _NARROWEST = 20, 360


def with_payments(
    frame: np.ndarray,
    offered: Mapping[str, float | None],
    rewards: Mapping[str, float | None],
    paid: Mapping[str, float | None],
) -> np.ndarray:
    """A picture with a table under it: what the designer offers, and what each agent earned and was paid in the step.

    Args:
        frame: ``[H, W, 3]`` uint8.
        offered: the designer's outputs by name; None before the first step.
        rewards: the environment's, by agent; None for those that did not act.
        paid: incentives, by agent.

    Returns:
        ``[H + more, max(W, 360), 3]`` uint8, of a size that does not depend on the values.
    """
    font = ImageFont.load_default(13)
    width = max(frame.shape[1], _NARROWEST)
    lines = ["offered: "]
    for name, value in offered.items():
        if font.getlength(f"{lines[-1]}{name} -000.00") > width - 16 and len(lines[-1].split()) > 1:
            lines.append("")
        lines[-1] += f"{name} {'-' if value is None else f'{value:.2f}'}    "
    image = Image.new("RGB", (width, frame.shape[0] + _LINE * (len(lines) + len(rewards) + 1) + 8), "#FFFFFF")
    image.paste(Image.fromarray(frame[..., :3].astype(np.uint8)), ((width - frame.shape[1]) // 2, 0))
    draw = ImageDraw.Draw(image)
    y = frame.shape[0] + _LINE / 2
    for line in lines:
        draw.text((8, y), line, fill="#222222", font=font, anchor="lm")
        y += _LINE
    columns = (width * 0.6, width * 0.78, width - 10)
    for x, title in zip(columns, ("reward", "paid", "together"), strict=True):
        draw.text((x, y), title, fill="#666666", font=font, anchor="rm")
    for agent, reward in rewards.items():
        y += _LINE
        draw.text((8, y), agent, fill="#222222", font=font, anchor="lm")
        pay = paid[agent]
        values = (None, None, None) if reward is None or pay is None else (reward, pay, reward + pay)
        for x, value in zip(columns, values, strict=True):
            shown = "-" if value is None else f"{value:+.2f}"
            draw.text((x, y), shown, fill="#222222", font=font, anchor="rm")
    return np.asarray(image)
