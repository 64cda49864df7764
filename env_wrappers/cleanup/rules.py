"""The rules of Cleanup in plain Python, to be read; docs/cleanup.md says them in words.

A step: agents move; apples under agents are eaten; cleaning beams fire in order of the agents; apples and waste
appear. Cells are (row, column).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from env_wrappers.cleanup.colors import AGENT, BEAM, LOOKS, OUTSIDE
from env_wrappers.cleanup.config import CLEAN, FACINGS, LEFT, TURN_LEFT, TURN_RIGHT, CleanupConfig
from env_wrappers.cleanup.maps import Cell
from env_wrappers.cleanup.rng import SplitMix64


class World:
    """One game.

    Args:
        config: checked.
        rng: every random event draws from it.

    Attributes:
        grid: symbol of every cell: ``@`` wall, ``H`` waste, ``R`` river, ``S`` stream, ``A`` apple, space.
        positions: cell of each agent.
        facings: index into :data:`FACINGS` of each agent; 0 is up.
        beams: cells that a beam of the last step crossed.
        removed: cells from which each agent's beam took waste in the last step.
    """

    def __init__(self, config: CleanupConfig, rng: SplitMix64) -> None:
        self.config = config
        self.rng = rng
        self.grid: list[list[str]] = []
        self.positions: list[Cell] = []
        self.facings: list[int] = []
        self.beams: set[Cell] = set()
        self.removed: list[int] = []

    def reset(self) -> None:
        """A new episode: the map as written, agents at start cells, and one round of spawning."""
        config, rng = self.config, self.rng
        self.grid = [[" " if symbol in "BP" else symbol for symbol in row] for row in config.rows]
        spawns = list(config.spawns)
        if config.shuffled_spawns:
            for i in range(config.num_agents):
                j = i + rng.below(len(spawns) - i)
                spawns[i], spawns[j] = spawns[j], spawns[i]
        self.positions = spawns[: config.num_agents]
        self.facings = [rng.below(4) if config.random_orientation else 0 for _ in range(config.num_agents)]
        self.beams = set()
        self.spawn()

    def step(self, kinds: Sequence[int]) -> list[bool]:
        """One joint action.

        Args:
            kinds: what each agent does (FORWARD to CLEAN).

        Returns:
            Whether each agent ate an apple.
        """
        self.move(kinds)
        ate = [self.symbol(cell) == "A" for cell in self.positions]
        for (r, c), eaten in zip(self.positions, ate, strict=True):
            if eaten:
                self.grid[r][c] = " "
        self.beams = set()
        self.removed = [self.fire(i) if kind == CLEAN else 0 for i, kind in enumerate(kinds)]
        self.spawn()
        return ate

    def symbol(self, cell: Cell) -> str:
        """What is in a cell; beyond the map there is wall."""
        r, c = cell
        inside = 0 <= r < len(self.grid) and 0 <= c < len(self.grid[0])
        return self.grid[r][c] if inside else "@"

    # -- moves ------------------------------------------------------------------------------------------

    def move(self, kinds: Sequence[int]) -> None:
        """All agents turn or move at once.

        Of several that want one cell, a random one may go, unless somebody stands there and does not want to
        leave. Two cannot change places. Whoever wants the cell of one that stays, stays; others follow.
        """
        targets = []
        for i, kind in enumerate(kinds):
            target = self.positions[i]
            if kind == TURN_RIGHT:
                self.facings[i] = (self.facings[i] + 1) % 4
            elif kind == TURN_LEFT:
                self.facings[i] = (self.facings[i] + 3) % 4
            elif kind <= LEFT:
                rows, columns = FACINGS[(self.facings[i] + kind) % 4]
                target = (target[0] + rows, target[1] + columns)
                if self.symbol(target) == "@":
                    target = self.positions[i]
            targets.append(target)

        contenders: dict[Cell, list[int]] = {}
        for i, target in enumerate(targets):
            contenders.setdefault(target, []).append(i)
        for cell, those in contenders.items():
            occupant_stays = any(self.positions[i] == cell for i in those)
            if len(those) > 1 and not occupant_stays:
                winner = those[self.rng.below(len(those))]
                for i in those:
                    if i != winner:
                        targets[i] = self.positions[i]

        for i, position in enumerate(self.positions):
            for j in range(i):
                if targets[i] == self.positions[j] and targets[j] == position:
                    targets[i], targets[j] = position, self.positions[j]

        blocked = True
        while blocked:
            blocked = False
            staying = {cell for cell, target in zip(self.positions, targets, strict=True) if cell == target}
            for i, position in enumerate(self.positions):
                if targets[i] != position and targets[i] in staying:
                    targets[i] = position
                    blocked = True
        self.positions = targets

    # -- beams ------------------------------------------------------------------------------------------

    def fire(self, agent: int) -> int:
        """A beam: one ray from the agent forward, and on either side rays that begin beside it.

        Returns:
            From how many cells it took waste.
        """
        r, c = self.positions[agent]
        forward = FACINGS[self.facings[agent]]
        right = FACINGS[(self.facings[agent] + 1) % 4]
        half = self.config.beam_width // 2
        removed = 0
        for side in range(-half, half + 1):
            first = 1 if side == 0 else 0
            start = (r + side * right[0] + first * forward[0], c + side * right[1] + first * forward[1])
            removed += self.ray(start, forward)
        return removed

    def ray(self, cell: Cell, forward: Cell) -> bool:
        """Stops before a wall, and at an agent or at waste, which it cleans; whether there was waste."""
        for _ in range(self.config.beam_length):
            symbol = self.symbol(cell)
            if symbol == "@":
                return False
            self.beams.add(cell)
            if symbol == "H":
                self.grid[cell[0]][cell[1]] = "R"
                return True
            if cell in self.positions:
                return False
            cell = (cell[0] + forward[0], cell[1] + forward[1])
        return False

    # -- spawning ---------------------------------------------------------------------------------------

    def waste_density(self) -> float:
        """Share of the potential waste cells that hold waste."""
        points = self.config.waste_points
        return sum(self.symbol(cell) == "H" for cell in points) / len(points) if points else 0.0

    def spawn(self) -> None:
        """Apples appear at free apple points, and waste at one river cell; both by the waste before."""
        config, rng = self.config, self.rng
        density = self.waste_density()
        if density >= config.threshold_depletion:
            return
        low, high = config.threshold_restoration, config.threshold_depletion
        share = 1.0 if density <= low else 1.0 - (density - low) / (high - low)
        probability = share * config.apple_respawn_probability
        for cell in config.apple_points:
            free = self.symbol(cell) != "A" and cell not in self.positions
            if probability > 0 and free and rng.uniform() < probability:
                self.grid[cell[0]][cell[1]] = "A"
        # In random order each clean cell gets one chance until the first success. The order needs no drawing:
        # all that matters is whether some chance succeeds, and any cell may then be the one.
        clean = [cell for cell in config.waste_points if self.symbol(cell) != "H"]
        if config.waste_spawn_probability > 0:
            for _ in clean:
                if rng.uniform() < config.waste_spawn_probability:
                    r, c = clean[rng.below(len(clean))]
                    self.grid[r][c] = "H"
                    break

    # -- pictures ---------------------------------------------------------------------------------------

    def looks(self, margin: int) -> np.ndarray:
        """What every cell looks like, with a border of cells beyond the map.

        Returns:
            ``[rows + 2 margin, columns + 2 margin]`` int: see colors.py. Beams cover agents, agents the ground.
        """
        looks = np.array([[LOOKS[symbol] for symbol in row] for row in self.grid])
        for i, cell in enumerate(self.positions):
            looks[cell] = AGENT + i
        for cell in self.beams:
            looks[cell] = BEAM
        return np.pad(looks, margin, constant_values=OUTSIDE)

    def view(self, agent: int) -> np.ndarray:
        """The looks around an agent, turned so that it faces up: ``[2 view + 1, 2 view + 1]`` int."""
        view = self.config.view_size
        r, c = self.positions[agent]
        window = self.looks(view)[r : r + 2 * view + 1, c : c + 2 * view + 1]
        return np.rot90(window, self.facings[agent])
