"""`rllib train` as a whole command, with Ray."""

import json
import signal
import subprocess
import sys
import time

import pytest

YAML = """
tiny:
  run: PPO
  env: CartPole-v1
  stop: {{training_iteration: {iterations}}}
  config: {{num_env_runners: 0, train_batch_size_per_learner: 200, num_epochs: 1, seed: 1}}
"""


def command(*arguments):
    return [sys.executable, "-m", "rllib_metagrad.cli.main", *arguments]


DESIGNED = """
designed:
  run: MetaGrad
  env: escape_room
  stop: {training_iteration: 3}
  config: {env_config: {n: 2, m: 1}, num_env_runners: 0, num_envs_per_env_runner: 4, seed: 1}
"""


@pytest.mark.integration
def test_train_evaluate_and_report(tmp_path):
    (tmp_path / "designed.yaml").write_text(DESIGNED)

    def run(*arguments):
        done = subprocess.run(
            command(*arguments), cwd=tmp_path, capture_output=True, text=True, timeout=180, check=False
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        return done.stdout

    printed = run("train", "file", "designed.yaml")
    for part in ("designer return", "incentives paid", "net", "run folder", "last checkpoint", "rllib report"):
        assert part in printed
    (trial,) = (tmp_path / "results" / "designed").glob("MetaGrad_*")
    assert len((trial / "result.json").read_text().splitlines()) == 3

    last_line = run("evaluate", "results/designed", "--data-only", "--episodes", "5", "--out", "e.json").splitlines()[
        -1
    ]
    result = json.loads(last_line)
    assert result["episodes"] == 5
    assert result == json.loads((tmp_path / "e.json").read_text())
    result = json.loads(run("evaluate", "results/designed", "--steps", "37").splitlines()[-1])
    assert result["steps"] >= 37 > result["steps"] - result["episode_len_max"]

    page = run("report", "results/designed").splitlines()[-1]
    figures = sorted(path.stem for path in (tmp_path / page).parent.glob("*.png"))
    assert figures == ["agent_actions", "agents", "incentives_by_action", "learner", "returns"]
    assert (tmp_path / page).read_text().count("data:image/png;base64,") == len(figures)


@pytest.mark.integration
def test_interrupt_writes_a_checkpoint_and_resume_goes_on_from_it(tmp_path):
    (tmp_path / "tiny.yaml").write_text(YAML.format(iterations=60))
    process = subprocess.Popen(
        command("train", "file", "tiny.yaml"),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.time() + 120
    while not list(tmp_path.glob("results/tiny/PPO_*/result.json")) and time.time() < deadline:
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "resume with: rllib train file tiny.yaml" in stderr
    (trial,) = tmp_path.glob("results/tiny/PPO_*")
    stopped_at = len((trial / "result.json").read_text().splitlines())
    assert stopped_at < 60
    assert list(trial.glob("checkpoint_*"))
    done = subprocess.run(
        command("train", "file", "tiny.yaml", "--resume"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in (trial / "result.json").read_text().splitlines()]
    assert [row["training_iteration"] for row in rows] == list(range(1, 61))


@pytest.mark.integration
def test_a_failing_trial_is_one_line_and_exit_code_1(tmp_path):
    (tmp_path / "bad.py").write_text(
        "import gymnasium as gym\nfrom ray.rllib.algorithms.ppo import PPOConfig\n"
        "class Bad(gym.Env):\n"
        "    observation_space, action_space = gym.spaces.Box(-1, 1, (2,)), gym.spaces.Discrete(2)\n"
        "    def __init__(self, config): pass\n"
        "    def reset(self, *, seed=None, options=None): return self.observation_space.sample(), {}\n"
        "    def step(self, action): raise RuntimeError('the pole fell off')\n"
        "config = PPOConfig().environment(Bad).env_runners(num_env_runners=0)\n"
        "stop = {'training_iteration': 1}\n"
    )
    done = subprocess.run(command("train", "file", "bad.py"), cwd=tmp_path, capture_output=True, text=True, timeout=180)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "failed: RuntimeError: the pole fell off; traceback in " in line
