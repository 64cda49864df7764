"""CPU seconds, user and system, that `rllib train file` takes to refuse each wrong file of test_bad_input.py."""

import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from test_bad_input import FILES


def seconds(text: str, arguments: list[str]) -> float:
    """Of one run, in a process of its own; it must be refused."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "er.yaml").write_text(text)
        command = [sys.executable, "-m", "rllib_metagrad.cli.main", "train", "file", "er.yaml", *arguments]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode == 2
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    measured = sorted((seconds(text, arguments), name) for name, (text, arguments, _) in FILES.items())
    for taken, name in measured:
        print(f"{taken:5.2f}  {name}")
    times = [taken for taken, _ in measured]
    print(f"{len(times)} files: median {times[len(times) // 2]:.2f}, at most {times[-1]:.2f} CPU s")
