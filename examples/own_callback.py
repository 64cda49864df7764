"""A callback of one's own: a metric of whole trajectories, and a stop when the game is solved.

    python examples/own_callback.py

``on_sample_end`` gets the trajectories of each batch where they were sampled, ``on_train_result`` the result of an
iteration before anybody else does. Trains Escape Room ER(2,1).
"""

from ray.rllib.callbacks.callbacks import RLlibCallback

from rllib_metagrad import MetaGradConfig


class Levers(RLlibCallback):
    def on_sample_end(self, *, samples, metrics_logger, **kwargs):
        """How often the lever was pulled (action type 0), in steps of a player: reported as env_runners/levers_mean."""
        for trajectory in samples:
            pulled = (trajectory.action_types == 0) & trajectory.active  # [T, B, N]
            metrics_logger.log_value("levers_mean", float(pulled.sum() / trajectory.active.sum()), reduce="mean")

    def on_train_result(self, *, result, **kwargs):
        """`rllib train` and Tune stop where a result says done, by stop: {solved: 1} in a file."""
        result["solved"] = int(result["env_runners"]["designer_return_mean"] > 8)


def main(iterations=8):
    config = MetaGradConfig().environment("escape_room", env_config={"n": 2, "m": 1})
    config.agents(lr=0.1, mean_baseline=True, entropy_coeff=0.0166)
    config.designer(lr=0.02, cost_coeff=0.03)
    config.incentives(num_updates_per_iteration=40)
    config.env_runners(num_env_runners=0, num_envs_per_env_runner=32)
    config.callbacks(Levers)
    algorithm = config.debugging(seed=1).build_algo()
    for _ in range(iterations):
        result = algorithm.train()
        sampled = result["env_runners"]
        print(f"designer's return {sampled['designer_return_mean']:.2f}, at the lever {sampled['levers_mean']:.0%}")
        if result["solved"]:
            print("solved")
            break
    algorithm.stop()
    return result["solved"]


if __name__ == "__main__":
    main()
