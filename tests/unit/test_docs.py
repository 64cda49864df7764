"""Documentation names what there is: every config key and every metric."""

from __future__ import annotations

from pathlib import Path

import pytest

from env_wrappers.cleanup.config import CleanupConfig
from env_wrappers.config import EnvConfig
from env_wrappers.escape_room import EscapeRoomConfig
from env_wrappers.gather_trade_build.config import GatherTradeBuildConfig
from env_wrappers.gather_trade_build.foundation.config import FoundationConfig
from env_wrappers.gather_trade_build.foundation.package import INSTALL
from env_wrappers.gather_trade_build.twin.config import TwinConfig
from env_wrappers.matrix_games import MatrixGameConfig
from env_wrappers.one_shot.contract import ContractConfig
from env_wrappers.one_shot.public_goods import PublicGoodsConfig
from env_wrappers.one_shot.routing import RoutingConfig
from env_wrappers.one_step_economy.config import OneStepEconomyConfig

DOCS = Path(__file__).parent.parent.parent / "docs"


RECORDS: list[type[EnvConfig]] = [
    CleanupConfig,
    ContractConfig,
    EscapeRoomConfig,
    GatherTradeBuildConfig,
    MatrixGameConfig,
    OneStepEconomyConfig,
    PublicGoodsConfig,
    RoutingConfig,
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.NAME)
def test_environment_pages_have_the_table_of_their_record(record: type[EnvConfig]) -> None:
    """What stands in it, tests/settings/test_settings.py compares with the code."""
    assert f"<!-- begin settings {record.__module__}:{record.__name__} -->" in (DOCS / f"{record.NAME}.md").read_text()


def test_both_backends_of_gather_trade_build_have_the_same_keys() -> None:
    for backend in (TwinConfig, FoundationConfig):
        assert list(backend.model_fields) == list(GatherTradeBuildConfig.model_fields)
        assert backend.defaults() == GatherTradeBuildConfig.defaults()


def test_ai_economist_is_installed_alike_everywhere() -> None:
    """A plain install leaves it out; the line that adds it is in make install, in the README and in the error."""
    assert INSTALL in (DOCS.parent / "README.md").read_text()
    assert INSTALL in (DOCS / "gather_trade_build.md").read_text()
    assert INSTALL.replace("install", "install --quiet", 1) in (DOCS.parent / "Makefile").read_text()
