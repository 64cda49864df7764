"""The YAML loader: floats as people write them, duplicate keys, line numbers."""

import math

import pytest

from rllib_metagrad.cli import yaml_loader
from rllib_metagrad.cli.errors import BadInputError


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e-3", 1e-3), ("1E5", 1e5), ("-2e+4", -2e4), (".5e1", 5.0), ("1.5e-2", 0.015), ("3", 3), ("1e", "1e")],
)
def test_floats_without_a_dot(text, value):
    loaded, _ = yaml_loader.load(f"a: {text}", "f")
    assert loaded == {"a": value}
    assert type(loaded["a"]) is type(value)


def test_infinity_and_null():
    loaded, _ = yaml_loader.load("a: .inf\nb: null\nc: ~", "f")
    assert math.isinf(loaded["a"])
    assert loaded["b"] is None
    assert loaded["c"] is None


def test_lines_of_keys_and_places_of_messages():
    _, source = yaml_loader.load("a:\n  b: 1\n  c: [1, {d: 2}]\n", "f.yaml")
    assert source.at(("a", "b")) == "f.yaml:2: a.b"
    assert source.at(("a", "c", 1, "d"), show=1) == "f.yaml:3: c.1.d"
    # A key that is missing is reported at the line of what it should be in.
    assert source.at(("a", "missing"), show=1) == "f.yaml:1: missing"


def test_a_key_twice_is_an_error_with_both_lines():
    with pytest.raises(BadInputError, match=r"f\.yaml:3: a\.b: the key stands twice \(first in line 2\)"):
        yaml_loader.load("a:\n  b: 1\n  b: 2\n", "f.yaml")


def test_merge_keys_and_anchors_work():
    loaded, _ = yaml_loader.load("x: &x {lr: 1}\ny: {<<: *x, n: 2}\n", "f")
    assert loaded["y"] == {"lr": 1, "n": 2}


def test_a_mapping_from_a_flag():
    assert yaml_loader.load_mapping('{"lr": 1e-3, "nested": {"a": true}}', "--config") == {
        "lr": 1e-3,
        "nested": {"a": True},
    }
