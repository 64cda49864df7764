"""What the check knows without Ray is what Ray and our algorithms say."""

import importlib.util
from pathlib import Path

import pytest

from rllib_metagrad.algorithms import get_config_class
from rllib_metagrad.cli import rllib_keys
from rllib_metagrad.settings.methods import METHODS

_spec = importlib.util.spec_from_file_location(
    "write_rllib_keys", Path(__file__).parents[2] / "scripts" / "write_rllib_keys.py"
)
write_rllib_keys = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(write_rllib_keys)


def test_the_names_in_the_file_are_those_of_the_installed_ray():
    """If this fails: python scripts/write_rllib_keys.py"""
    known = write_rllib_keys.known()
    assert known["keys"] == rllib_keys.KEYS
    assert known["algorithms"] == rllib_keys.ALGORITHMS
    assert known["schedulers"] == rllib_keys.SCHEDULER_SETTINGS


@pytest.mark.parametrize("name", METHODS)
def test_methods_are_those_of_the_algorithms(name):
    config, method = get_config_class(name)(), METHODS[name]
    assert config.records() == method.records
    assert {key: getattr(config, key) for key in config.own_keys()} == method.config_defaults()
    assert config.method_settings() == method.settings({})
