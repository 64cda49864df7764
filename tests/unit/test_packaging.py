"""What the package says of itself, in one place each."""

import pathlib
import re
import tomllib
from configparser import ConfigParser
from importlib import resources

import pytest

import rllib_metagrad

ROOT = pathlib.Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINNED = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE))


def name_of(requirement):
    return re.split(r"[\[=<>~ ]", requirement)[0].lower()


@pytest.mark.parametrize(
    "requirement",
    [*PROJECT["dependencies"], *(r for extra in PROJECT["optional-dependencies"].values() for r in extra)],
)
def test_every_dependency_is_pinned(requirement):
    assert name_of(requirement) in {name.lower() for name in PINNED}


def test_the_version_stands_in_the_package_alone():
    assert PROJECT["dynamic"] == ["version"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", rllib_metagrad.__version__)


def test_the_types_are_shipped():
    config = ConfigParser()
    config.read(ROOT / "setup.cfg")
    for package in ("rllib_metagrad", "env_wrappers"):
        assert resources.files(package).joinpath("py.typed").is_file()
        assert "py.typed" in config["options.package_data"][package]
