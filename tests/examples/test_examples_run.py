"""Examples run as they are shipped."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


def test_the_method_without_rllib() -> None:
    """At most a hundred lines, no Ray, and ER(2,1) solved: the paper's optimum is a net of 8."""
    file = EXAMPLES / "metagrad_without_rllib.py"
    assert len(file.read_text().splitlines()) <= 100
    code = (
        "import runpy, sys; sys.modules['ray'] = None; "
        f"net = runpy.run_path({str(file)!r})['main'](seed=0, updates=400); print(net)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout.splitlines()[-1]) > 8
