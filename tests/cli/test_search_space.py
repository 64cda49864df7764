"""Search spaces in YAML."""

import inspect

import pytest
from ray import tune
from ray.tune.search.sample import Categorical, Float, Integer

from rllib_metagrad.cli import search_space
from rllib_metagrad.settings import SettingError


def parse(value):
    return search_space.parse(value, "config")


def resolved(value):
    return search_space.resolve(parse(value), "config")


@pytest.mark.parametrize("name", search_space.SAMPLERS)
def test_signatures_are_those_of_tune(name):
    ours, tunes = (inspect.signature(found).parameters for found in (search_space.SAMPLERS[name], getattr(tune, name)))
    assert [(p.name, p.default is p.empty) for p in ours.values()] == [
        (p.name, p.default is p.empty) for p in tunes.values()
    ]


@pytest.mark.parametrize("name", search_space.SAMPLERS)
def test_every_sampler_draws_values(name):
    arguments = {
        "choice": [["a", "b"]],
        "randn": [0.0, 1.0],
        "qrandn": [0.0, 1.0, 0.5],
        "quniform": [0.5, 2.0, 0.5],
        "qloguniform": [0.5, 2.0, 0.5],
        "qrandint": [2, 8, 2],
        "qlograndint": [2, 8, 2],
    }.get(name, [1, 9])
    space = resolved({"lr": {"tune": name, "args": arguments}})["lr"]
    assert isinstance(space, Float | Integer | Categorical)
    drawn = space.sample()
    if name not in ("choice", "randn", "qrandn"):
        assert arguments[0] <= drawn <= arguments[1]


def test_spaces_at_any_depth():
    parsed = parse({"a": {"b": {"grid_search": [1, 2]}}, "c": [{"tune": "uniform", "args": [0, 1]}]})
    assert parsed["a"]["b"] == tune.grid_search([1, 2])
    assert isinstance(search_space.resolve(parsed)["c"][0], Float)
    assert {path for path, _ in search_space.find(parsed)} == {("a", "b"), ("c", 0)}


def test_variants_show_every_value_once_and_not_the_product():
    config = parse(
        {
            "fixed": 7,
            "a": {"grid_search": [1, 2, 3]},
            "b": {"c": {"tune": "loguniform", "args": [1e-5, 1e-2]}},
            "d": {"tune": "randint", "args": [2, 5]},
        }
    )
    found = [(p, v["a"], v["b"]["c"], v["d"]) for p, v in search_space.variants(config)]
    assert found == [
        (None, 1, 1e-5, 2),
        (("a",), 2, 1e-5, 2),
        (("a",), 3, 1e-5, 2),
        (("b", "c"), 1, 1e-2, 2),
        (("d",), 1, 1e-5, 4),
    ]
    assert config["a"] == {"grid_search": [1, 2, 3]}  # left as it was


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"grid_search": []}, "grid_search needs a list of values, got []"),
        ({"grid_search": 3}, "grid_search needs a list of values, got 3"),
        ({"grid_search": [1], "args": [2]}, "config.lr.args: must not stand beside grid_search"),
        (
            {"tune": "logunifrom", "args": [1, 2]},
            "unknown search space 'logunifrom'; did you mean 'loguniform'?",
        ),
        ({"tune": "uniform", "args": [2, 1]}, "uniform: lower must be below upper, got 2 and 1"),
        ({"tune": "uniform", "args": [1]}, "missing a required argument: 'upper'"),
        ({"tune": "uniform", "args": [0, "x"]}, "uniform: upper must be a number, got 'x'"),
        (
            {"tune": "uniform", "arg": [0, 1]},
            "config.lr.arg: not a part of a search space; did you mean 'args'?",
        ),
        ({"tune": "loguniform", "args": [0, 1]}, "loguniform: "),
        ({"tune": "choice", "args": [3]}, "choice: args must be [[value, value, ...]]"),
    ],
)
def test_mistakes(value, message):
    with pytest.raises(SettingError) as caught:
        parse({"lr": value})
    assert message in f"{caught.value.key}: {caught.value.message}"
    assert caught.value.key.startswith("config.lr")
