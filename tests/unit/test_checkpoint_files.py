"""A checkpoint is whole or not there."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest

from rllib_metagrad.checkpoint_files import (
    CONTENTS,
    MARKER,
    IncompleteCheckpointError,
    check_whole,
    missing_from,
    written_aside,
)


def save(target: Path, text: str, fail: bool = False) -> None:
    with written_aside(target) as folder:
        (folder / MARKER).write_text(json.dumps({CONTENTS: True}))
        (folder / "learner").mkdir()
        (folder / "learner" / "state.pkl").write_text(text)
        if fail:
            raise OSError(errno.ENOSPC, "No space left on device")


def test_a_failed_save_leaves_the_last_one_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "checkpoint"
    with pytest.raises(OSError, match="No space left"):
        save(target, "first", fail=True)
    assert list(tmp_path.iterdir()) == []
    save(target, "second")
    with pytest.raises(OSError, match="No space left"):
        save(target, "third", fail=True)
    assert list(tmp_path.iterdir()) == [target]
    assert (target / "learner" / "state.pkl").read_text() == "second"
    check_whole(target)
    save(target, "fourth")
    assert list(tmp_path.iterdir()) == [target]
    assert (target / "learner" / "state.pkl").read_text() == "fourth"


def test_an_empty_folder_is_taken_over(tmp_path: Path) -> None:
    """Tune gives one."""
    save(tmp_path / "empty", "x")
    (tmp_path / "tune").mkdir()
    save(tmp_path / "tune", "x")
    assert missing_from(tmp_path / "tune") is None


def test_parts_are_told_from_checkpoints(tmp_path: Path) -> None:
    target = tmp_path / "checkpoint"
    assert missing_from(target) == MARKER
    save(target, "hello")
    state = target / "learner" / "state.pkl"
    state.write_text("hel")
    assert missing_from(target) == "2 of 5 bytes of learner/state.pkl"
    state.unlink()
    with pytest.raises(IncompleteCheckpointError, match=r"no whole checkpoint: 5 of 5 bytes of learner/state.pkl is"):
        check_whole(target)
    state.write_text("hello")
    (target / CONTENTS).write_text('{"a": ')
    assert missing_from(target) == CONTENTS
    (target / CONTENTS).unlink()
    assert missing_from(target) == CONTENTS
    (target / MARKER).write_text("")
    assert missing_from(target) == MARKER


def test_checkpoints_of_algorithms_without_a_list_need_the_mark_only(tmp_path: Path) -> None:
    (tmp_path / MARKER).write_text('{"ray_version": "2.60.0"}')
    check_whole(tmp_path)


@pytest.mark.parametrize("name", ["learner/state.pkl", MARKER])
@pytest.mark.parametrize("at", [0, -1])
def test_a_flipped_byte_is_told(tmp_path: Path, name: str, at: int) -> None:
    target = tmp_path / "checkpoint"
    save(target, "hello")
    file = target / name
    raw = bytearray(file.read_bytes())
    # In the marker a space more or less, so that it is JSON all the same.
    raw = bytearray(raw.replace(b": true", b":true ")) if name == MARKER else raw
    raw[at] ^= 0 if name == MARKER else 1
    assert len(raw) == file.stat().st_size
    file.write_bytes(raw)
    expected = f"{name} as it was written (the file has changed)"
    assert missing_from(target) == expected
    with pytest.raises(IncompleteCheckpointError) as error:
        check_whole(target)
    assert str(error.value) == f"{target} is no whole checkpoint: {expected} is missing; use an earlier one"
    file.write_bytes(raw + b" ")
    assert missing_from(target) == expected


def test_lists_of_version_0_1_hold_sizes_alone(tmp_path: Path) -> None:
    target = tmp_path / "checkpoint"
    save(target, "hello")
    size = (target / MARKER).stat().st_size
    (target / CONTENTS).write_text(json.dumps({MARKER: size, "learner/state.pkl": 5}))
    check_whole(target)
    (target / "learner" / "state.pkl").write_text("jello")
    check_whole(target)
    (target / "learner" / "state.pkl").write_text("hel")
    assert missing_from(target) == "2 of 5 bytes of learner/state.pkl"
