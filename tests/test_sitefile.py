"""The site file: strict, and its errors name file, line, key, value and the nearest right key."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
from msgspec.structs import replace
from whowhere.launch.site_files import load_site, parse_site
from whowhere.launch.site_mistakes import tables_in
from whowhere.sitefile import Site, SiteError, published, site_as_json, site_from_json

DEMO = Path(__file__).parents[1] / "launch" / "sites" / "demo.toml"
TEXT = DEMO.read_text()


def test_the_demo_site_loads() -> None:
    site = load_site(DEMO)
    assert [len(part) for part in (site.radars, site.cameras, site.sniffers, site.identities)] == [1, 2, 4, 4]
    assert Path(site.radars[0].config).is_file()


@pytest.mark.parametrize(
    ("right", "wrong", "reason"),
    [
        ("fps = 5", "fsp = 5", r'demo.toml:\d+: cameras.camera-1.fsp: unknown key, did you mean "fps"\?'),
        ("fps = 5", "fps = -1", r"demo.toml:\d+: cameras.camera-1.fps = -1: Expected a number > 0.0"),
        ("fps = 5", 'fps = "five"', r"cameras.camera-1.fps = 'five': Expected a number, got text in quotes"),
        ('"sniffer-2"', '"sniffer-1"', r'id = "sniffer-1" is used twice'),
        ('name = "Bruno"', 'name = "Ada"', r'name = "Ada" is used twice'),
        ("consent = true", "", r'identities.Ada: the key "consent" is missing'),
        ("a4:83:e7:00:00:02", "zz", r'"zz" is not a hardware address'),
        ("a4:83:e7:00:00:02", "a4:83:e7:00:00:01", r'device = "a4:83:e7:00:00:01" is used twice'),
        ('"pinhole"', '"pinhol"', r"calibration.model = 'pinhol': must be one of homography, pinhole"),
        ("seed = 1", "seeed = 1", r'simulated.seeed: unknown key, did you mean "seed"\?'),
        ('name = "demo"', 'nome = "demo"', r'nome: unknown key, did you mean "name"\?'),
        ('name = "demo"', "", r'the key "name" is missing'),
        ("x_m = [0.0, 12.0]", "x_m = [3.0, 1.0]", r"demo.toml:5: area.x_m = \[3.0, 1.0\] must be \[from, to\]"),
        (
            "[simulated]",
            '[fusion]\nscene_hz = 4\nevidence = ["rssi", "gait", "rssi"]\n[simulated]',
            r'demo.toml:11: fusion.evidence = \[.rssi., .gait., .rssi.\] names "rssi" twice',
        ),
        (
            "[simulated]",
            '[fusion]\nevidence = ["looks"]\n[simulated]',
            r"demo.toml:10: fusion.evidence.0 = 'looks': must be one of rssi, position, appearance, gait, stature$",
        ),
        (
            "[simulated]",
            '[privacy]\nunenrolled = "cuont"\n[simulated]',
            r"demo.toml:10: privacy.unenrolled = 'cuont': must be one of count, pseudonym; did you mean \"count\"\?",
        ),
        ('"sniffer-2"', '"sniffer 2"', r"'sniffer 2': Expected text in quotes of letters, digits"),
        ("[0.3, 0.3, 2.2]", "[nan, 0.3, 2.2]", r"sniffers.sniffer-1.position_m.0 = nan: must be a finite number"),
        (
            "[simulated]",
            "[fusion]\nconfirm_probability = 0.7\nrelease_probability = 0.8\n[simulated]",
            r"demo.toml:11: fusion.release_probability = 0.8 must not be above confirm_probability, 0.7",
        ),
        ("[640, 480]", "[0, 480]", r"cameras.camera-1.calibration.image_size.0 = 0: Expected a whole number >= 1$"),
        (
            "[640, 480]",
            "[640, -480]",
            r"cameras.camera-1.calibration.image_size.1 = -480: Expected a whole number >= 1",
        ),
        ("[0.3, 0.3, 2.2]", "[0.3, 1e9, 2.2]", r"sniffers.sniffer-1.position_m.1 = 1000000000.0: .* <= 1000.0"),
        ("y_m = [0.0, 10.0]", "y_m = [0.0, 1e9]", r"demo.toml:6: area.y_m.1 = 1000000000.0: Expected a number <= 1000"),
        ("[area]", "[area", r"not TOML"),
        ('name = "Ada"', 'name = "unknown"', r"choose another name"),
        ('name = "Ada"', 'name = "A/da"', r"identities"),
    ],
)
def test_mistakes_get_one_sentence(right: str, wrong: str, reason: str) -> None:
    assert right in TEXT
    with pytest.raises(SiteError, match=reason) as caught:
        parse_site(TEXT.replace(right, wrong, 1), "demo.toml")
    assert "\n" not in str(caught.value)


def test_the_line_is_the_one_of_the_table_that_is_wrong() -> None:
    """Every sensor has the same keys: the first line that mentions one is nearly always another sensor's."""
    lines = TEXT.splitlines()
    for number, line in enumerate(lines, 1):
        key, equals, _ = line.partition(" = ")
        if equals and key.isidentifier() and not line.endswith(("[", "{")):
            wrong = [*lines[: number - 1], f"{key} = 1979-05-27", *lines[number:]]
            with pytest.raises(SiteError, match=rf"^site file:{number}: "):
                parse_site("\n".join(wrong))
    last = max(number for number, line in enumerate(lines, 1) if line == "[[identities]]")
    without = TEXT[: TEXT.rindex("consent = true")]
    with pytest.raises(SiteError, match=rf'^site file:{last}: identities.Dana: the key "consent" is missing'):
        parse_site(without)


def test_files_that_are_missing_are_named(tmp_path: Path) -> None:
    with pytest.raises(SiteError, match="cannot be read"):
        load_site(tmp_path / "none.toml")
    site = tmp_path / "site.toml"
    site.write_bytes(b"\xff\xfe")
    with pytest.raises(SiteError, match="not UTF-8"):
        load_site(site)
    site.write_text(TEXT.replace("iwr6843_oob_10hz.cfg", "mine.cfg"))
    with pytest.raises(SiteError, match=r'radars.radar-1.config = "mine.cfg": no such file'):
        load_site(site)
    site.write_text(TEXT + '\n[models]\nappearance = "reid.json"\n')
    with pytest.raises(SiteError, match=r'models.appearance = "reid.json": no such file'):
        load_site(site)
    site.write_text(TEXT + '\n[models]\nradiomap = "shipped"\n')
    with pytest.raises(SiteError, match=r'models.radiomap = "shipped": none comes with whowhere'):
        load_site(site)


def test_the_published_site_holds_no_address_and_nobody_without_consent() -> None:
    text = TEXT.replace("consent = true", "consent = false", 1)
    public = published(parse_site(text), lambda device: f"pseudonym-{device[-1]}")
    document = site_as_json(public)
    assert "a4:83" not in document
    assert "Ada" not in document
    assert [identity.name for identity in public.identities] == ["Bruno", "Chidi", "Dana"]
    assert site_from_json(document) == public
    with pytest.raises(SiteError):
        site_from_json("{}")


def test_a_site_built_of_numpy_numbers_and_arrays_is_the_same_document() -> None:
    site = parse_site(TEXT)
    sniffer = site.sniffers[0]
    fields = {"window_s": np.float64(0.5), "position_m": tuple(np.array(sniffer.position_m))}
    built = replace(site, sniffers=(replace(sniffer, **fields), *site.sniffers[1:]))
    assert site_as_json(built) == site_as_json(site)
    row = replace(sniffer, position_m=np.array(sniffer.position_m))
    assert site_as_json(replace(site, sniffers=(row, *site.sniffers[1:]))) == site_as_json(site)
    single = replace(site, fusion=replace(site.fusion, scene_hz=np.float32(4.5)))
    assert site_from_json(site_as_json(single)).fusion.scene_hz == 4.5
    with pytest.raises(TypeError, match="a Site cannot hold a PosixPath"):
        site_as_json(replace(site, name=Path("demo")))


def test_every_key_is_documented() -> None:
    """docs/site.md names every key of every table."""
    documented = (Path(__file__).parents[1] / "docs" / "site.md").read_text()
    tables = [Site, *_tables_below(Site)]
    missing = [
        f"{table.__name__}.{field.encode_name}"
        for table in tables
        for field in msgspec.structs.fields(table)
        if f"`{field.encode_name}`" not in documented
    ]
    assert not missing


def _tables_below(table: type) -> list[type]:
    import msgspec

    below = [inner for field in msgspec.structs.fields(table) for inner in tables_in(field.type)]
    return [*below, *(deeper for inner in below for deeper in _tables_below(inner))]
