"""Documentation names what there is: every config key and every metric."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from env_wrappers.cleanup.config import CleanupConfig
from env_wrappers.config import EnvConfig
from env_wrappers.escape_room import EscapeRoomConfig
from env_wrappers.gather_trade_build.config import GatherTradeBuildConfig
from env_wrappers.gather_trade_build.foundation.config import FoundationConfig
from env_wrappers.gather_trade_build.foundation.package import INSTALL
from env_wrappers.gather_trade_build.twin.config import TwinConfig
from env_wrappers.matrix_games import MatrixGameConfig
from env_wrappers.one_step_economy.config import OneStepEconomyConfig
from rllib_metagrad.algorithms import ALGORITHMS, get_config_class
from rllib_metagrad.settings.base import expected, plain

DOCS = Path(__file__).parent.parent.parent / "docs"


@pytest.mark.parametrize("name", ALGORITHMS)
def test_configuration_page_names_every_key(name: str) -> None:
    page = (DOCS / "configuration.md").read_text()
    missing = [key for key in get_config_class(name)().own_keys() if f"`{key}`" not in page]
    assert not missing


def test_no_page_names_a_config_key_that_is_not_there() -> None:
    keys = {key for name in ALGORITHMS for key in vars(get_config_class(name)())}
    page = (DOCS / "configuration.md").read_text()
    for prefix in ("agent_", "designer_", "cloning_"):
        for word in page.replace("`", " ").replace(",", " ").replace("(", " ").replace("|", " ").split():
            if word.startswith(prefix) and word.isidentifier():
                assert word in keys or word.endswith("_incentives"), word


RECORDS: list[type[EnvConfig]] = [
    CleanupConfig,
    EscapeRoomConfig,
    GatherTradeBuildConfig,
    MatrixGameConfig,
    OneStepEconomyConfig,
]


def table_of(record: type[EnvConfig]) -> str:
    """The rows of a page's section Configuration: key, default, what it may be, meaning."""
    rows = ["| key | default | what it may be | meaning |", "|---|---|---|---|"]
    for name, field in record.model_fields.items():
        default = yaml.safe_dump(plain(field.default), default_flow_style=True).split("\n")[0].strip("'")
        rows.append(f"| `{name}` | {default} | {expected(field)} | {field.description} |")
    return "\n".join(rows)


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.NAME)
def test_environment_pages_hold_the_table_of_their_record(record: type[EnvConfig]) -> None:
    """Keys, defaults, bounds and help are written in the record; after a change, put this text between the markers."""
    name = record.NAME
    page = (DOCS / f"{name}.md").read_text()
    section = page.split("\n## Configuration\n")[1].split("\n## ")[0]
    held = section.split(f"<!-- begin settings {name} -->\n")[1].split(f"\n<!-- end settings {name} -->")[0]
    assert held == table_of(record)


def test_both_backends_of_gather_trade_build_have_the_same_keys() -> None:
    for backend in (TwinConfig, FoundationConfig):
        assert list(backend.model_fields) == list(GatherTradeBuildConfig.model_fields)
        assert backend.defaults() == GatherTradeBuildConfig.defaults()


def test_ai_economist_is_installed_alike_everywhere() -> None:
    """A plain install leaves it out; the line that adds it is in make install, in the README and in the error."""
    assert INSTALL in (DOCS.parent / "README.md").read_text()
    assert INSTALL in (DOCS / "gather_trade_build.md").read_text()
    assert INSTALL.replace("install", "install --quiet", 1) in (DOCS.parent / "Makefile").read_text()
