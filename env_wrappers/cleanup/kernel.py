"""The inner loops of VectorCleanup, in a module of their own so that only it pays for importing numba.

The rules are those of rules.py, written a second time for speed. Every copy has its map with a border of cells
beyond the map, in one row of S = height * width cells, so that a cell is one number and a step to it an offset.
The picture of that map is kept as well (``canvas``): a step repaints only what changed in it, and observations are
windows copied out of it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba.extending
import numpy as np
from numba.core import cgutils

from env_wrappers.cleanup.colors import AGENT, APPLE, BEAM, FLOOR, OUTSIDE, RIVER, WALL, WASTE
from env_wrappers.cleanup.config import CLEAN, LEFT, TURN_LEFT, TURN_RIGHT
from env_wrappers.compiled import inlined, lean

_GAMMA, _MIX_1, _MIX_2 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_S11, _S27, _S30, _S31, _S32 = np.uint64(11), np.uint64(27), np.uint64(30), np.uint64(31), np.uint64(32)


class Rules(NamedTuple):
    """What stays the same. Cells are numbers in the bordered map.

    Attributes:
        ground: ``[S]`` uint8, looks at the start of an episode.
        spawns, apple_points, waste_points: int64, in the order of the config.
        apple_chance, waste_chance: ``[W + 1]`` float64, by the number of cells with waste.
        kinds: ``[A]`` int64, what each action does.
        palette: ``[looks, C]`` uint8.
        offsets: ``[4]`` int64, a step up, right, down, left.
        radius, half, length, max_steps: int; cells seen to each side; half the beam's width, rounded down.
        penalty: float.
        paid_by_waste: bool, whether beams that remove no waste are no cleaning.
        shuffled, turned: bool, random start cells and facings.
        state_first, state_rows, state_columns, width: int, the designer's window, and cells in a row.
    """

    ground: np.ndarray
    spawns: np.ndarray
    apple_points: np.ndarray
    waste_points: np.ndarray
    apple_chance: np.ndarray
    waste_chance: np.ndarray
    kinds: np.ndarray
    palette: np.ndarray
    offsets: np.ndarray
    radius: int
    half: int
    length: int
    max_steps: int
    penalty: float
    paid_by_waste: bool
    shuffled: bool
    turned: bool
    state_first: int
    state_rows: int
    state_columns: int
    width: int


class Game(NamedTuple):
    """The B games.

    Attributes:
        cells: ``[B, S]`` uint8, looks without agents and beams.
        canvas: ``[B, S * C]`` uint8, the picture with them.
        taken: ``[B, S]`` bool, where agents are.
        positions, facings: ``[B, N]`` int64.
        beams, num_beams: ``[B, M]`` int64 and ``[B]`` int64, cells that beams of the last step crossed.
        waste: ``[B]`` int64, cells with waste.
        t: ``[B]`` int64, steps taken.
        rng: ``[B]`` uint64, see rng.py.
        targets, order: ``[N]`` and ``[spawns]`` int64, scratch.
    """

    cells: np.ndarray
    canvas: np.ndarray
    taken: np.ndarray
    positions: np.ndarray
    facings: np.ndarray
    beams: np.ndarray
    num_beams: np.ndarray
    waste: np.ndarray
    t: np.ndarray
    rng: np.ndarray
    targets: np.ndarray
    order: np.ndarray


class Reports(NamedTuple):
    """Buffers of a VectorIncentiveEnv; pictures are flat, e.g. ``observations`` ``[B, N, V * V * C]``."""

    observations: np.ndarray
    state: np.ndarray
    active: np.ndarray
    rewards: np.ndarray
    truncated: np.ndarray
    episode_over: np.ndarray
    was_reset: np.ndarray
    action_types: np.ndarray
    action_features: np.ndarray
    designer_reward: np.ndarray


# -- random numbers: rng.py in uint64 arithmetic ----------------------------------------------------------


@inlined
def bits(rng: np.ndarray, b: int) -> np.uint64:
    """The next 64 random bits of copy b."""
    rng[b] += _GAMMA
    z = rng[b]
    z = (z ^ (z >> _S30)) * _MIX_1
    z = (z ^ (z >> _S27)) * _MIX_2
    return z ^ (z >> _S31)


@inlined
def uniform(rng: np.ndarray, b: int) -> float:
    """A number in [0, 1)."""
    return np.float64(bits(rng, b) >> _S11) * 2.0**-53


@inlined
def below(rng: np.ndarray, b: int, count: int) -> np.int64:
    """A whole number in 0 .. count - 1."""
    return np.int64(((bits(rng, b) >> _S32) * np.uint64(count)) >> _S32)


@numba.extending.intrinsic
def copy_bytes(typingctx: Any, target: Any, at: Any, source: Any, start: Any, count: Any) -> Any:
    """``target[at : at + count] = source[start : start + count]``, as one call of memcpy; rows of uint8."""
    signature = numba.types.void(target, numba.types.intp, source, numba.types.intp, numba.types.intp)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        to, at, origin, start, count = arguments
        to = context.make_array(signature.args[0])(context, builder, to).data
        origin = context.make_array(signature.args[2])(context, builder, origin).data
        cgutils.raw_memcpy(builder, builder.gep(to, [at]), builder.gep(origin, [start]), count, 1)
        return context.get_dummy_value()

    return signature, generate


# -- pictures ---------------------------------------------------------------------------------------------


@inlined
def paint(canvas: np.ndarray, palette: np.ndarray, cell: int, look: int) -> None:
    """Draws one cell on the canvas of one copy."""
    channels = palette.shape[1]
    for k in range(channels):
        canvas[cell * channels + k] = palette[look, k]


@inlined
def paint_all(rules: Rules, game: Game, b: int) -> None:
    """Draws the whole map, without agents and beams."""
    for cell in range(game.cells.shape[1]):
        paint(game.canvas[b], rules.palette, cell, game.cells[b, cell])


@inlined
def observe(rules: Rules, game: Game, reports: Reports, b: int) -> None:
    """Draws agents and then beams, and copies the windows of agents and designer."""
    channels, radius = rules.palette.shape[1], rules.radius
    for i in range(game.positions.shape[1]):
        paint(game.canvas[b], rules.palette, game.positions[b, i], AGENT + i)
    for m in range(game.num_beams[b]):
        paint(game.canvas[b], rules.palette, game.beams[b, m], BEAM)
    canvas = game.canvas[b]
    side = 2 * radius + 1
    for i in range(game.positions.shape[1]):
        out = reports.observations[b, i]
        facing = game.facings[b, i]
        forward, right = rules.offsets[facing], rules.offsets[(facing + 1) % 4]
        first = game.positions[b, i] + radius * (forward - right)
        length = side * channels
        if facing == 0:
            for row in range(side):
                copy_bytes(out, row * length, canvas, (first + row * rules.width) * channels, length)
        else:
            for row in range(side):
                for column in range(side):
                    cell = first - row * forward + column * right
                    for k in range(channels):
                        out[row * length + column * channels + k] = canvas[cell * channels + k]
    length = rules.state_columns * channels
    for row in range(rules.state_rows):
        start = (rules.state_first + row * rules.width) * channels
        copy_bytes(reports.state[b], row * length, canvas, start, length)


# -- rules ------------------------------------------------------------------------------------------------


@inlined
def place(rules: Rules, game: Game, reports: Reports, b: int) -> None:
    """Starts a new episode in copy b."""
    n = game.positions.shape[1]
    for m in range(len(rules.spawns)):
        game.order[m] = rules.spawns[m]
    if rules.shuffled:
        for i in range(n):
            j = i + below(game.rng, b, len(rules.spawns) - i)
            game.order[i], game.order[j] = game.order[j], game.order[i]
    game.taken[b] = False
    for i in range(n):
        game.positions[b, i] = game.order[i]
        game.facings[b, i] = 0
        game.taken[b, game.order[i]] = True
    if rules.turned:
        for i in range(n):
            game.facings[b, i] = below(game.rng, b, 4)
    for cell in range(game.cells.shape[1]):
        game.cells[b, cell] = rules.ground[cell]
    game.waste[b] = 0
    for cell in rules.waste_points:
        game.waste[b] += rules.ground[cell] == WASTE
    game.num_beams[b] = 0
    game.t[b] = 0
    paint_all(rules, game, b)
    spawn(rules, game, b)
    reports.episode_over[b] = False
    reports.active[b] = True
    observe(rules, game, reports, b)


@inlined
def move(rules: Rules, game: Game, actions: np.ndarray, b: int) -> None:
    """All agents turn or move at once."""
    n = game.positions.shape[1]
    positions, targets, facings = game.positions[b], game.targets, game.facings[b]
    moving = 0
    for i in range(n):
        kind = rules.kinds[actions[b, i]]
        targets[i] = positions[i]
        if kind <= LEFT:
            target = positions[i] + rules.offsets[(facings[i] + kind) % 4]
            look = game.cells[b, target]
            if look != WALL and look != OUTSIDE:
                targets[i] = target
                moving += 1
        elif kind == TURN_RIGHT:
            facings[i] = (facings[i] + 1) % 4
        elif kind == TURN_LEFT:
            facings[i] = (facings[i] + 3) % 4
    if moving == 0:
        return
    # Contests, in the order of their first contender. Losers get -1 first, so that they count as movers here.
    for i in range(n):
        cell = targets[i]
        if cell < 0 or cell == positions[i]:
            continue
        rivals, held = 0, False
        for j in range(n):
            rivals += targets[j] == cell
            held |= positions[j] == cell and targets[j] == cell
        if rivals > 1 and not held:
            winner = below(game.rng, b, rivals)
            for j in range(i, n):
                if targets[j] == cell:
                    if winner != 0:
                        targets[j] = -1
                    winner -= 1
    for i in range(n):
        if targets[i] < 0:
            targets[i] = positions[i]
    # Stop those that change places or run into somebody who stays, until all others can go.
    changed = True
    while changed:
        changed = False
        for i in range(n):
            if targets[i] == positions[i] or not game.taken[b, targets[i]]:
                continue
            for j in range(n):
                if positions[j] == targets[i] and (targets[j] == positions[j] or targets[j] == positions[i]):
                    targets[i] = positions[i]
                    changed = True
                    break
    for i in range(n):
        game.taken[b, positions[i]] = False
    for i in range(n):
        positions[i] = targets[i]
        game.taken[b, positions[i]] = True


@inlined
def fire(rules: Rules, game: Game, b: int, i: int) -> int:
    """The beam of agent i; from how many cells it took waste."""
    removed = 0
    facing = game.facings[b, i]
    forward, right = rules.offsets[facing], rules.offsets[(facing + 1) % 4]
    for side in range(-rules.half, rules.half + 1):
        cell = game.positions[b, i] + side * right
        if side == 0:
            cell += forward
        for _ in range(rules.length):
            look = game.cells[b, cell]
            if look in (WALL, OUTSIDE):
                break
            game.beams[b, game.num_beams[b]] = cell
            game.num_beams[b] += 1
            if look == WASTE:
                game.cells[b, cell] = RIVER
                game.waste[b] -= 1
                removed += 1
                paint(game.canvas[b], rules.palette, cell, RIVER)
                break
            if game.taken[b, cell]:
                break
            cell += forward
    return removed


@inlined
def spawn(rules: Rules, game: Game, b: int) -> None:
    """Apples at free apple points, and waste at one river cell; both by the waste before."""
    apple_chance, waste_chance = rules.apple_chance[game.waste[b]], rules.waste_chance[game.waste[b]]
    if apple_chance > 0.0:
        for cell in rules.apple_points:
            if game.cells[b, cell] == FLOOR and not game.taken[b, cell] and uniform(game.rng, b) < apple_chance:
                game.cells[b, cell] = APPLE
                paint(game.canvas[b], rules.palette, cell, APPLE)
    if waste_chance > 0.0:
        clean = len(rules.waste_points) - game.waste[b]
        for _ in range(clean):
            if uniform(game.rng, b) < waste_chance:
                chosen = below(game.rng, b, clean)
                for cell in rules.waste_points:
                    if game.cells[b, cell] != WASTE:
                        if chosen == 0:
                            game.cells[b, cell] = WASTE
                            game.waste[b] += 1
                            paint(game.canvas[b], rules.palette, cell, WASTE)
                            break
                        chosen -= 1
                break


@inlined
def play_one(rules: Rules, game: Game, reports: Reports, actions: np.ndarray, b: int) -> None:
    """One step of a copy whose episode goes on."""
    n = game.positions.shape[1]
    for i in range(n):
        paint(game.canvas[b], rules.palette, game.positions[b, i], game.cells[b, game.positions[b, i]])
    for m in range(game.num_beams[b]):
        paint(game.canvas[b], rules.palette, game.beams[b, m], game.cells[b, game.beams[b, m]])
    game.num_beams[b] = 0
    move(rules, game, actions, b)
    total = 0.0
    for i in range(n):
        cleans = rules.kinds[actions[b, i]] == CLEAN
        reward = 0.0 - rules.penalty if cleans else 0.0  # not -0
        cell = game.positions[b, i]
        if game.cells[b, cell] == APPLE:
            game.cells[b, cell] = FLOOR
            paint(game.canvas[b], rules.palette, cell, FLOOR)
            reward += 1.0
        total += reward
        reports.rewards[b, i] = reward
        reports.action_types[b, i] = 0 if cleans else (1 if reward > 0 else 2)
        reports.action_features[b, i, 0] = cleans
    for i in range(n):
        if rules.kinds[actions[b, i]] == CLEAN:
            removed = fire(rules, game, b, i)
            if rules.paid_by_waste and removed == 0:
                reports.action_types[b, i] = 1 if reports.rewards[b, i] > 0 else 2
    spawn(rules, game, b)
    reports.designer_reward[b] = total
    game.t[b] += 1
    cut = game.t[b] >= rules.max_steps
    reports.episode_over[b] = cut
    for i in range(n):
        reports.active[b, i] = not cut
        reports.truncated[b, i] = cut
    observe(rules, game, reports, b)


# -- called from Python -----------------------------------------------------------------------------------


@lean
def reset(rules: Rules, game: Game, reports: Reports) -> None:
    """Starts a new episode in every copy."""
    for b in range(len(game.t)):
        place(rules, game, reports, b)


@lean
def step(rules: Rules, game: Game, reports: Reports, actions: np.ndarray, autoreset: bool) -> bool:
    """One step of every copy: played, reset, or left as it is.

    Args:
        rules, game, reports: see there; game and reports are written.
        actions: ``[B, N]`` int64.
        autoreset: whether copies whose episode is over are reset.

    Returns:
        False, with nothing changed, if an action is not one of those there are.
    """
    copies, n = game.positions.shape
    for b in range(copies):
        for i in range(n):
            if not reports.episode_over[b] and not 0 <= actions[b, i] < len(rules.kinds):
                return False
    for b in range(copies):
        reports.was_reset[b] = False
        if not reports.episode_over[b]:
            play_one(rules, game, reports, actions, b)
            continue
        reports.designer_reward[b] = 0.0
        for i in range(n):
            reports.rewards[b, i] = 0.0
            reports.truncated[b, i] = False
            reports.action_types[b, i] = 0
            reports.action_features[b, i, 0] = 0.0
        if autoreset:
            place(rules, game, reports, b)
            reports.was_reset[b] = True
    return True


@lean
def redraw(rules: Rules, game: Game, reports: Reports) -> None:
    """Recomputes everything that follows from ``cells``, ``positions``, ``facings`` and ``beams``."""
    for b in range(len(game.t)):
        game.taken[b] = False
        for i in range(game.positions.shape[1]):
            game.taken[b, game.positions[b, i]] = True
        game.waste[b] = 0
        for cell in rules.waste_points:
            game.waste[b] += game.cells[b, cell] == WASTE
        paint_all(rules, game, b)
        observe(rules, game, reports, b)
