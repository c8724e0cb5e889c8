"""What many test modules start from."""

from pathlib import Path

import pytest
from whowhere.sitefile import Site, load_site


@pytest.fixture(scope="session")
def site() -> Site:
    """The demo's site."""
    return load_site(Path(__file__).parents[1] / "launch" / "sites" / "demo.toml")
