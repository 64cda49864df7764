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
    assert source.at("a.b") == "f.yaml:2: a.b"
    assert source.under("a").at("c.1.d") == "f.yaml:3: c.1.d"
    # A key that is missing is reported at the line of what it should be in.
    assert source.under("a").at("missing") == "f.yaml:1: missing"


def test_a_key_twice_is_an_error_with_both_lines():
    with pytest.raises(BadInputError, match=r"f\.yaml:3: a\.b: the key stands twice \(first in line 2\)"):
        yaml_loader.load("a:\n  b: 1\n  b: 2\n", "f.yaml")


def test_merge_keys_and_anchors_work():
    loaded, source = yaml_loader.load("x: &x {lr: 1, n: 1}\ny:\n  n: 2\n  <<: *x\nz: {<<: [{lr: 3}, *x], k: *x}\n", "f")
    assert loaded["y"] == {"lr": 1, "n": 2}
    assert loaded["z"] == {"lr": 3, "n": 1, "k": {"lr": 1, "n": 1}}
    # What is merged stands where the anchor is; what is written beside it wins.
    assert (source.at("y.lr"), source.at("y.n"), source.at("z.k.lr")) == ("f:1: y.lr", "f:3: y.n", "f:1: z.k.lr")


def test_words_and_numbers_are_those_of_yaml_1_2():
    loaded, _ = yaml_loader.load("a: yes\nb: true\nc: 010\nd: 0x1F\ne: '1'\nf: !!str 3", "f")
    assert loaded == {"a": "yes", "b": True, "c": 10, "d": 31, "e": "1", "f": "3"}


NESTED = "\n".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 9))
MERGED = "\n".join(f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 9)}]}}" for i in range(1, 9))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"a0: &a0 1\n{NESTED}", "not valid YAML: more than 100000 values; does an alias (*name) contain itself, or"),
        (f"a0: &a0 {{x: 1}}\n{MERGED}", "not valid YAML: more than 100000 values; does an alias"),
        ("a: &a [*a]", "f.yaml:1: not valid YAML: more than 50 levels; does an alias (*name) contain itself"),
        ("a: &a {<<: *a}", "f.yaml:1: not valid YAML: more than 50 levels; does an alias (*name) contain itself"),
        ("[" * 3000, "f.yaml: not valid YAML: nested too deeply"),
        ("a: !f {b: 1}", "f.yaml:1: not valid YAML: unknown tag !f"),
        ("a:\n  !f b", "f.yaml:2: not valid YAML: could not determine a constructor for the tag '!f'"),
        ("a: 1\n? [1]\n: 2", "f.yaml:2: not valid YAML: a key must be a word or a number"),
        ("<<: 3", "f.yaml:1: not valid YAML: << takes a mapping, or a list of mappings"),
        ("a: *b", "f.yaml:1: not valid YAML: found undefined alias 'b'"),
        ("a: 2020-13-45", "f.yaml: not valid YAML: month must be in 1..12"),
    ],
    ids=lambda value: value[:12],
)
def test_what_is_refused_in_one_line(text, message):
    with pytest.raises(BadInputError) as caught:
        yaml_loader.load(text, "f.yaml")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_mapping_from_a_flag():
    assert yaml_loader.load_mapping('{"lr": 1e-3, "nested": {"a": true}}', "--config") == {
        "lr": 1e-3,
        "nested": {"a": True},
    }
