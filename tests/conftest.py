"""What many test modules start from."""

from pathlib import Path

import pytest
from tiny_nodes import tiny as tiny
from whowhere.launch.site_files import load_site
from whowhere.sitefile import Site


@pytest.fixture(scope="session")
def site() -> Site:
    """The demo's site."""
    return load_site(Path(__file__).parents[1] / "launch" / "sites" / "demo.toml")
