"""Real people recognised by looks: never worse than stripes, and better with phones (docs/results/appearance.md).

Skips where the recordings are not there. Nothing of them is shipped.
"""

import json

import pytest
from whowhere.launch.cli import main
from whowhere.launch.evaluate import appearance, recorded_crops
from whowhere.models.appearance.model import shipped_model

THERE = [each for each in appearance.PROTOCOLS if (recorded_crops.VIDEO / each[0]).is_dir()]
pytestmark = pytest.mark.skipif(not THERE, reason=f"the recordings in {recorded_crops.VIDEO} are not here")


@pytest.fixture(scope="module")
def tables() -> appearance.Table:
    return appearance.real([shipped_model("stripes"), shipped_model("looks")], seeds=[1, 2, 3])


def test_what_is_shipped_is_never_worse_than_stripes(tables: appearance.Table):
    for title, table in tables.items():
        for kind in ("rank_1", "map"):
            assert table["looks:1"]["looks"][kind] >= table["stripes:1"]["looks"][kind], title


def test_phones_help_and_few_phones_do_no_harm(tables: appearance.Table):
    for title, table in tables.items():
        if not title.startswith("pets_s2l1, cut"):
            continue
        figures = table["looks:1"]
        many, few = figures["and phones of 80%, 5-8 m"], figures["and phones of 36%, 5-8 m"]
        assert many["rank_1"] > 0.88
        assert many["map"] > 0.87
        assert few["map"] > figures["and not two at one time"]["map"] - 0.02


def test_the_command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(appearance, "PROTOCOLS", THERE[-1:])
    assert main(["evaluate", "appearance", "--json", "--seeds", "1"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert next(iter(said.values()))["stripes:1"]["looks"]["queries"] > 10
