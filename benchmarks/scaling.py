"""Environment steps per second over the number of env runners, what crosses between processes, and where it ends.

    python benchmarks/scaling.py [--runners 0 1 2 4] [--repeats 7] [--ray-address ADDRESS]

Every runner has the shipped config's number of environments, so the batch grows with the runners. All learning rates
are tiny, so that every block plays the same kind of episodes. CPU seconds are those of the algorithm's process and of
all runners. Transfer and sync is what remains of an update when the slowest runner's own sampling and the learner's
update are taken away. Blocks with different numbers of runners are interleaved. The model is that of
benchmarks/scaling_model.py; its constants are CPU seconds, of the blocks that needed fewest: what other jobs on the
machine take away is no property of the design. What they leave out is the time that messages are under way.
"""

from __future__ import annotations

import argparse
import dataclasses
import pickle
import statistics
import time
from typing import Any

import common
import numpy as np
import torch
from scaling_model import Constants, constants_from, half_way, limit, seconds_per_update, throughput

from rllib_metagrad.algorithms import IncentiveDesign

CONFIGS = ("escape_room/metagrad_5_2", "cleanup/metagrad_7x7")
PHASES = ("sample", "learn", "sync_weights")
MODELLED = (8, 64, 512)
TINY = 1e-9


@dataclasses.dataclass(frozen=True)
class Block:
    """An update, on the mean of some iterations of ``train()``: environment steps, and seconds.

    Attributes:
        steps: environment steps.
        wall: of the whole.
        cpu: of all processes.
        own_wall: the slowest runner's sampling.
        own_cpu: one runner's sampling.
        phases: (wall, CPU) of the algorithm's process, by phase.
    """

    steps: float
    wall: float
    cpu: float
    own_wall: float
    own_cpu: float
    phases: dict[str, list[float]]

    @property
    def transfer(self) -> float:
        """Share of the update that is neither sampling nor learning: requests, transfer, joining, sync."""
        waiting = self.phases["sample"][0] - self.own_wall
        return (waiting + self.phases["sync_weights"][0]) / self.wall

    @property
    def messages_cpu(self) -> float:
        """CPU seconds of the algorithm's process on what it does for one runner after another."""
        return self.phases["sample"][1] + self.phases["sync_weights"][1]


def watch(thing: Any, names: tuple[str, ...]) -> None:
    """From now on ``thing.spent[name]`` lists (wall, CPU) seconds of each call of these methods."""
    thing.spent = {name: [] for name in names}

    def timed(name: str) -> Any:
        method = getattr(thing, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            wall, cpu = time.perf_counter(), time.process_time()
            result = method(*args, **kwargs)
            thing.spent[name].append((time.perf_counter() - wall, time.process_time() - cpu))
            return result

        return call

    for name in names:
        setattr(thing, name, timed(name))


def take(thing: Any) -> dict[str, np.ndarray]:
    """What :func:`watch` has noted since the last call: ``[calls, 2]`` for each name."""
    taken = {name: np.array(calls) for name, calls in thing.spent.items()}
    for calls in thing.spent.values():
        calls.clear()
    return taken


def on_runners(algorithm: IncentiveDesign, function: Any) -> list[Any]:
    """``function(runner)`` of all runners that sample."""
    local = algorithm.config.num_env_runners == 0
    remote = [] if local else None
    return algorithm.env_runner_group.foreach_env_runner(  # type: ignore[no-any-return]
        function, local_env_runner=local, remote_worker_ids=remote
    )


def build(name: str, runners: int) -> IncentiveDesign:
    """A shipped config with so many runners, watched and warmed up."""
    rates = {"agent_lr": TINY, "designer_lr": TINY}
    config, _ = common.load(name, seed=0, evaluation_interval=None, num_env_runners=runners, **rates)
    if config.agent_critic_lr is not None:
        config.agents(critic_lr=TINY)
    algorithm = common.build(config)
    watch(algorithm, PHASES)
    on_runners(algorithm, lambda runner: watch(runner, ("sample",)))
    algorithm.train()
    return algorithm


def measure_block(algorithm: IncentiveDesign, trains: int) -> Block:
    """Some iterations of ``train()``."""
    updates = trains * algorithm.config.num_updates_per_iteration
    take(algorithm)
    before = on_runners(algorithm, lambda runner: (take(runner), time.process_time())[1])
    steps, wall, cpu = algorithm._env_steps_sampled, time.perf_counter(), time.process_time()
    for _ in range(trains):
        algorithm.train()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    after = on_runners(algorithm, lambda runner: (take(runner)["sample"], time.process_time()))
    if algorithm.config.num_env_runners:
        cpu += sum(now for _, now in after) - sum(before)
    own = np.stack([calls for calls, _ in after])  # [R, updates, 2]
    return Block(
        steps=(algorithm._env_steps_sampled - steps) / updates,
        wall=wall / updates,
        cpu=cpu / updates,
        own_wall=float(own[..., 0].max(0).mean()),
        own_cpu=float(own[..., 1].mean()),
        phases={name: (calls.sum(0) / updates).tolist() for name, calls in take(algorithm).items()},
    )


def crossing(value: Any) -> tuple[int, int]:
    """Bytes and number of arrays of a value between processes: memory that is handed over as it is, and a header."""
    buffers: list[pickle.PickleBuffer] = []
    header = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
    return len(header) + sum(buffer.raw().nbytes for buffer in buffers), len(buffers)


def measure(name: str, counts: list[int], repeats: int, trains: int, bandwidth: float) -> dict[str, Any]:
    """Measures one shipped config, prints its tables, returns the numbers."""
    algorithms = {count: build(name, count) for count in counts}
    some = algorithms[counts[0]].env_runner
    trajectory_bytes, arrays = crossing(some.sample()[0])
    weight_bytes, weight_arrays = crossing(some.get_state()["rl_module"])
    blocks: dict[int, list[Block]] = {count: [] for count in counts}
    for _ in range(repeats):
        for count, algorithm in algorithms.items():
            blocks[count].append(measure_block(algorithm, trains))
    updates = trains * algorithms[counts[0]].config.num_updates_per_iteration
    for algorithm in algorithms.values():
        algorithm.stop()

    print(f"{name}: {repeats} blocks of {updates} updates; medians")
    rows: dict[int, dict[str, Any]] = {}
    for count, measured in blocks.items():
        rates = [block.steps / block.wall for block in measured]
        rows[count] = {
            "env_steps_per_second": round(statistics.median(rates)),
            "range": [round(min(rates)), round(max(rates))],
            "env_steps_per_cpu_second": round(statistics.median(b.steps / b.cpu for b in measured)),
            "transfer_and_sync": round(statistics.median(b.transfer for b in measured), 3),
            "sync": round(statistics.median(b.phases["sync_weights"][0] / b.wall for b in measured), 3),
            "bytes_in": count * trajectory_bytes,
            "bytes_out": weight_bytes if count else 0,
        }
        print(f"  {count} runners: {rows[count]}")
    result: dict[str, Any] = {
        "runners": rows,
        "trajectory": {"bytes": trajectory_bytes, "arrays": arrays},
        "weights": {"bytes": weight_bytes, "arrays": weight_arrays},
    }
    remote = [count for count in counts if count > 0]
    if len(remote) > 1:
        best = [min(blocks[count], key=lambda block: block.cpu) for count in remote]
        constants = constants_from(
            remote,
            steps=round(best[0].steps / remote[0]),
            sample=best[0].own_cpu,
            cpu=best[0].cpu,
            messages=[block.messages_cpu for block in best],
            learning=[block.phases["learn"][1] for block in best],
            trajectory_bytes=trajectory_bytes,
        )
        result |= {"constants": dataclasses.asdict(constants), "model": model(constants, remote, bandwidth)}
    return result


def model(constants: Constants, remote: list[int], bandwidth: float) -> dict[str, Any]:
    """What the model says, printed beside what it is made of."""
    print(f"  constants: {constants}")
    here = {n: round(throughput(constants, n, cores=2)) for n in remote}
    print(f"  the model for these runners on two cores: {here} env steps/s")
    found: dict[str, Any] = {"two_cores": here}
    for learners in (1, 8):
        settings: dict[str, Any] = {"learners": learners, "bandwidth": bandwidth}
        rows = {n: round(throughput(constants, n, **settings)) for n in MODELLED}
        milliseconds = {n: round(1e3 * seconds_per_update(constants, n, **settings), 1) for n in MODELLED}
        most, half = limit(constants, **settings), half_way(constants, **settings)
        print(f"  {learners} learners: {rows} env steps/s, {milliseconds} ms; limit {most:,.0f}, half at {half:.1f}")
        found[f"learners_{learners}"] = {
            "env_steps_per_second": rows,
            "milliseconds": milliseconds,
            "limit": round(most),
            "half_at": round(half, 1),
        }
    return found


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--configs", nargs="+", default=list(CONFIGS))
    parser.add_argument("--runners", nargs="+", type=int, default=[0, 1, 2, 4])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--trains", type=int, default=2, help="iterations of train() in a block")
    parser.add_argument("--gbit", type=float, default=10.0, help="of the network, assumed by the model")
    parser.add_argument("--ray-address", default=None, help="a cluster; by default a Ray of its own on this machine")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    counts = sorted(set(arguments.runners))
    common.start_ray(num_cpus=sum(counts) + 1, address=arguments.ray_address)
    bandwidth = arguments.gbit * 1e9 / 8
    common.finish({c: measure(c, counts, arguments.repeats, arguments.trains, bandwidth) for c in arguments.configs})


if __name__ == "__main__":
    main()
