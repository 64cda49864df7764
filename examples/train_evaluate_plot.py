# %% [markdown]
# Train Escape Room ER(2,1), evaluate what was learned, and plot it with the figures of `rllib report`. The cells run
# as a notebook (`# %%`) or all at once: python examples/train_evaluate_plot.py [FOLDER]

# %%
import sys
from pathlib import Path

import pandas as pd

from rllib_metagrad import MetaGradConfig
from rllib_metagrad.analysis import figures
from rllib_metagrad.analysis.runs import Group, TrialRun, flatten
from rllib_metagrad.evaluation import evaluate, load

folder = Path(sys.argv[1] if len(sys.argv) > 1 else "escape_room").absolute()

# %% Train: each call is 40 updates of agents and designer.
config = MetaGradConfig().environment("escape_room", env_config={"n": 2, "m": 1})
config.agents(lr=0.05, entropy_coeff=0.0166)
config.designer(lr=0.01, betas=(0.9, 0.95), cost_coeff=0.04)
config.incentives(num_updates_per_iteration=40, mechanism_config={"scale": 2.0, "squash": "softsign"})
config.env_runners(num_env_runners=0, num_envs_per_env_runner=64).debugging(seed=0)
algorithm = config.build_algo()
results = []
for _ in range(14):
    results.append(algorithm.train())
    print(f"designer's return {results[-1]['env_runners']['designer_return_mean']:.2f}")
algorithm.save_to_path(str(folder / "checkpoint"))
algorithm.stop()

# %% Evaluate: whole episodes without exploration, from the checkpoint as another program would; and a picture of one.
trained = load(folder / "checkpoint")
evaluated = evaluate(trained, episodes=200, render=folder / "episode.gif")
trained.stop()
print(f"evaluated: net return {evaluated['designer_net_return_mean']:.2f} +- {evaluated['designer_net_return_se']:.2f}")

# %% Plot: figures take groups of trials, here one of one. `rllib report` makes them from what `rllib train` wrote.
rows = [{key: value for key, value in flatten(result).items() if isinstance(value, int | float)} for result in results]
trial = TrialRun(folder, "MetaGrad", folder.name, {"seed": 1}, pd.DataFrame(rows))
group = Group((trial,), "MetaGrad")
for name in ("returns", "incentives_by_action", "learner"):
    figure = getattr(figures, name)([group])
    figure.savefig(folder / f"{name}.png")
    print(f"wrote {folder / name}.png")
