"""What an algorithm leaves for its user lies where a run's files stay, on a disk or on a storage of pyarrow's."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow.fs
import pytest

from rllib_metagrad.ray_compat import CompatAlgorithm


@pytest.mark.parametrize("remote", [False, True])
def test_a_file_is_copied_into_the_trials_folder(tmp_path: Path, remote: bool) -> None:
    file = tmp_path / "working" / "batch.pt"
    file.parent.mkdir()
    file.write_bytes(b"numbers")
    (tmp_path / "results").mkdir()
    local = pyarrow.fs.LocalFileSystem()
    # A file system with a root of its own, as buckets have.
    system: Any = pyarrow.fs.SubTreeFileSystem(str(tmp_path), local) if remote else local
    folder = "results/trial" if remote else str(tmp_path / "results" / "trial")
    algorithm: Any = SimpleNamespace(_storage=SimpleNamespace(trial_fs_path=folder, storage_filesystem=system))
    assert CompatAlgorithm.copy_to_run_folder(algorithm, file) == f"{folder}/batch.pt"
    assert (tmp_path / "results" / "trial" / "batch.pt").read_bytes() == b"numbers"
    assert CompatAlgorithm.copy_to_run_folder(SimpleNamespace(_storage=None), file) == str(file)  # type: ignore[arg-type]
