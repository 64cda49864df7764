"""Documentation names what there is: every config key and every metric."""

from __future__ import annotations

from pathlib import Path

import pytest

from rllib_metagrad.algorithms import ALGORITHMS, get_config_class

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
