"""Pictures of the economy for people: the map, what everybody has, and the tax rates in force."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from PIL.ImageDraw import ImageDraw as Draw

from env_wrappers.gather_trade_build.measures import equality
from env_wrappers.pictures import AGENT_COLORS, digit_color

#: Pixels: a map is about so large, its cells at most and at least so.
_MAP, _LARGEST, _SMALLEST = 480, 40, 10
_PANEL, _MARGIN, _ROW, _HEADER, _CHART = 448, 14, 24, 66, 190
_INK, _PALE, _LINE = "#222222", "#777777", "#CCCCCC"
_GROUND, _WATER, _TREE, _FOREST, _ROCK, _QUARRY = "#F3EEE0", "#8CBFE6", "#2E8B3D", "#DCE9CC", "#7A7A80", "#DDDCD8"
#: Corners of shapes, x and y in shares of a cell.
_TREE_SHAPE = ((0.5, 0.1), (0.85, 0.62), (0.58, 0.62), (0.58, 0.88), (0.42, 0.88), (0.42, 0.62), (0.15, 0.62))
_ROCK_SHAPE = ((0.14, 0.78), (0.2, 0.45), (0.45, 0.24), (0.74, 0.34), (0.88, 0.78))
_HOUSE_SHAPE = ((0.5, 0.08), (0.95, 0.48), (0.84, 0.48), (0.84, 0.94), (0.16, 0.94), (0.16, 0.48), (0.05, 0.48))
_DOOR_SHAPE = ((0.41, 0.94), (0.41, 0.62), (0.59, 0.62), (0.59, 0.94))
#: Columns of the table: headings, and where they end.
_COLUMNS = (("skill", 108), ("coin", 176), ("wood", 236), ("stone", 294), ("houses", 360), ("labor", 420))


@dataclass(frozen=True)
class Scene:
    """What there is to see; H rows, W columns, N agents, K tax brackets.

    Attributes:
        water, wood, stone: ``[H, W]`` bool.
        wood_sources, stone_sources: ``[H, W]`` bool, where they grow.
        owners: ``[H, W]`` int, whose house is there, or -1.
        cells: ``[N, 2]`` int, rows and columns of agents.
        skill: ``[N]`` coin that a house pays, or what else tells agents apart.
        coin, wood_held, stone_held: ``[N]``, with what is in escrow.
        houses, labor: ``[N]``.
        cutoffs, rates: ``[K]`` where tax brackets begin, and the marginal rates in force; empty without taxes.
        incomes: ``[N]`` coin earned in the tax period so far.
        day, period: of the next step in the tax period, from 1, and how long that is.
        t, max_steps: steps taken, and of an episode.
    """

    water: np.ndarray
    wood: np.ndarray
    stone: np.ndarray
    wood_sources: np.ndarray
    stone_sources: np.ndarray
    owners: np.ndarray
    cells: np.ndarray
    skill: np.ndarray
    coin: np.ndarray
    wood_held: np.ndarray
    stone_held: np.ndarray
    houses: np.ndarray
    labor: np.ndarray
    cutoffs: np.ndarray
    rates: np.ndarray
    incomes: np.ndarray
    day: int
    period: int
    t: int
    max_steps: int

    @property
    def by_skill(self) -> list[int]:
        """Agents, the most skilled first."""
        order: list[int] = np.argsort(-self.skill, kind="stable").tolist()
        return order

    @property
    def brackets(self) -> np.ndarray:
        """``[N]`` tax brackets of the incomes."""
        return np.maximum(0, np.searchsorted(self.cutoffs, self.incomes, side="right") - 1)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def draw_economy(scene: Scene) -> np.ndarray:
    """The map on the left; on the right everybody's belongings, and the tax rates with the incomes they fall on.

    Returns:
        ``[height, width, 3]`` uint8.
    """
    rows, columns = scene.water.shape
    size = int(np.clip(_MAP // max(rows, columns), _SMALLEST, _LARGEST))
    panel = 2 * _MARGIN + _HEADER + (len(scene.coin) + 1) * _ROW + (_CHART if len(scene.cutoffs) else 0)
    image = Image.new("RGB", (columns * size + _PANEL, max(rows * size, panel)), "#FFFFFF")
    draw = ImageDraw.Draw(image)
    _draw_map(draw, scene, size)
    left = columns * size + _MARGIN
    _draw_header(draw, scene, left)
    _draw_table(draw, scene, left, _MARGIN + _HEADER)
    if len(scene.cutoffs):
        _draw_taxes(draw, scene, left, _MARGIN + _HEADER + (len(scene.coin) + 1) * _ROW + _MARGIN)
    return np.asarray(image)


def _draw_map(draw: Draw, scene: Scene, size: int) -> None:
    grounds = ((scene.water, _WATER), (scene.wood_sources, _FOREST), (scene.stone_sources, _QUARRY))
    for row, column in np.ndindex(scene.water.shape):
        x, y = column * size, row * size
        ground = next((color for there, color in grounds if there[row, column]), _GROUND)
        draw.rectangle((x, y, x + size - 1, y + size - 1), fill=ground)
        draw.line((x, y, x + size - 1, y), fill="#FFFFFF")
        draw.line((x, y, x, y + size - 1), fill="#FFFFFF")
        if scene.wood[row, column]:
            _shape(draw, x, y, size, _TREE, _TREE_SHAPE)
        if scene.stone[row, column]:
            _shape(draw, x, y, size, _ROCK, _ROCK_SHAPE)
        if scene.owners[row, column] >= 0:
            _shape(draw, x, y, size, _color(int(scene.owners[row, column])), _HOUSE_SHAPE)
            _shape(draw, x, y, size, "#FFFFFF", _DOOR_SHAPE)
    for agent, (row, column) in enumerate(scene.cells.tolist()):
        _disc(draw, agent, (column + 0.5) * size, (row + 0.5) * size, 0.36 * size)


def _shape(draw: Draw, x: float, y: float, size: int, fill: str, corners: Sequence[tuple[float, float]]) -> None:
    """A polygon in a cell, in shares of its size."""
    draw.polygon([(x + a * (size - 1), y + b * (size - 1)) for a, b in corners], fill=fill)


def _color(agent: int) -> str:
    return AGENT_COLORS[agent % len(AGENT_COLORS)]


def _disc(draw: Draw, agent: int, x: float, y: float, radius: float) -> None:
    """An agent: its color, and its number where there is room."""
    color = _color(agent)
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=color, outline=_INK)
    if radius >= 6:
        draw.text((x, y), str(agent), fill=digit_color(color), font=_font(int(1.25 * radius)), anchor="mm")


def _draw_header(draw: Draw, scene: Scene, left: int) -> None:
    equal = float(equality(scene.coin))
    total = float(scene.coin.sum())
    draw.text((left, _MARGIN), f"step {scene.t} of {scene.max_steps}", fill=_INK, font=_font(18))
    texts = (("productivity", f"{total:.0f}"), ("equality", f"{equal:.2f}"), ("welfare", f"{total * equal:.0f}"))
    for place, (name, value) in enumerate(texts):
        x = left + place * 140
        draw.text((x, _MARGIN + 30), name, fill=_PALE, font=_font(13))
        draw.text((x + 8 + draw.textlength(name, _font(13)), _MARGIN + 28), value, fill=_INK, font=_font(15))


def _draw_table(draw: Draw, scene: Scene, left: int, top: int) -> None:
    for name, end in _COLUMNS:
        draw.text((left + end, top + _ROW / 2), name, fill=_PALE, font=_font(13), anchor="rm")
    draw.line((left, top + _ROW - 2, left + _PANEL - 2 * _MARGIN, top + _ROW - 2), fill=_LINE)
    for place, agent in enumerate(scene.by_skill, 1):
        y = top + (place + 0.5) * _ROW
        _disc(draw, agent, left + 12, y, 10)
        numbers = (
            f"{scene.skill[agent]:.1f}",
            f"{scene.coin[agent]:.1f}",
            f"{scene.wood_held[agent]:.0f}",
            f"{scene.stone_held[agent]:.0f}",
            f"{scene.houses[agent]:.0f}",
            f"{scene.labor[agent]:.0f}",
        )
        for text, (_, end) in zip(numbers, _COLUMNS, strict=True):
            draw.text((left + end, y), text, fill=_INK, font=_font(14), anchor="rm")


def _draw_taxes(draw: Draw, scene: Scene, left: int, top: int) -> None:
    """A bar for each bracket, and below it the agents whose incomes of this period lie there."""
    width = (_PANEL - 2 * _MARGIN) / len(scene.cutoffs)
    base, height = top + 118, 76
    title = f"tax rates by income, and incomes of this period (day {min(scene.day, scene.period)} of {scene.period})"
    draw.text((left, top), title, fill=_PALE, font=_font(13))
    draw.line((left, base, left + _PANEL - 2 * _MARGIN, base), fill=_LINE)
    for k, (cutoff, rate) in enumerate(zip(scene.cutoffs.tolist(), scene.rates.tolist(), strict=True)):
        x, middle = left + k * width, left + (k + 0.5) * width
        draw.rectangle((x + 5, base - height * rate, x + width - 6, base), fill="#5B7FA6")
        draw.text((middle, base - height * rate - 9), f"{100 * rate:.0f}%", fill=_INK, font=_font(13), anchor="mm")
        draw.text((x + 2, base + 11), f"{cutoff:.3g}+", fill=_PALE, font=_font(12), anchor="lm")
        members = np.flatnonzero(scene.brackets == k).tolist()
        step = min(17.0, (width - 20) / max(1, min(5, len(members)) - 1))
        for place, agent in enumerate(members):
            _disc(draw, agent, x + 10 + place % 5 * step, base + 32 + place // 5 * 19, 8)


def as_text(scene: Scene) -> str:
    """The same in characters.

    On the map W and S are wood and stone, w and s where they will grow, @ water, a to j houses of agents 0 to 9, and
    digits agents.
    """
    symbols = np.full(scene.water.shape, " ")
    for there, symbol in (
        (scene.water, "@"),
        (scene.wood_sources, "w"),
        (scene.stone_sources, "s"),
        (scene.wood, "W"),
        (scene.stone, "S"),
    ):
        symbols[there.astype(bool)] = symbol
    for row, column in np.argwhere(scene.owners >= 0):
        symbols[row, column] = chr(ord("a") + scene.owners[row, column] % 26)
    for agent, (row, column) in enumerate(scene.cells.tolist()):
        symbols[row, column] = str(agent % 10)
    total, equal = float(scene.coin.sum()), float(equality(scene.coin))
    lines = [f"t={scene.t}  productivity {total:.1f}  equality {equal:.3f}  welfare {total * equal:.1f}"]
    lines += ["".join(row) for row in symbols]
    lines += [
        f"{agent}: skill {scene.skill[agent]:.1f}  coin {scene.coin[agent]:.1f}  wood {scene.wood_held[agent]:.0f}  "
        f"stone {scene.stone_held[agent]:.0f}  houses {scene.houses[agent]:.0f}  labor {scene.labor[agent]:.1f}"
        for agent in scene.by_skill
    ]
    if len(scene.rates):
        lines.append("tax " + "  ".join(f"{c:g}+: {r:.0%}" for c, r in zip(scene.cutoffs, scene.rates, strict=True)))
    return "\n".join(lines)
