"""The report page: well-formed, self-contained, equal to what evaluate says, and a sentence for what is broken."""

import json
import re
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import force_setattr, replace
from whowhere.launch import cli
from whowhere.launch.evaluate.reliability import pooled
from whowhere.launch.evaluate.session import evaluate_session, in_words
from whowhere.launch.report import figures
from whowhere.launch.report.write import report_of, write_report
from whowhere.launch.site_files import load_site
from whowhere.messages import Event, Health, Message, Person, Scene, Stamp, State, Truth, encode
from whowhere.nodes.bus import Received
from whowhere.nodes.session import Session, SessionWriter
from whowhere.sitefile import site_as_json

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND
SITE = load_site(Path(cli.__file__).parent / "sites" / "demo.toml")
DEMO, NOBODY = site_as_json(SITE), site_as_json(replace(SITE, identities=()))
VOID = {"meta", "link", "br", "img", "input"}
NASTY = "<script>alert('&')</script>\""


class Page(HTMLParser):
    """Checks that every element is closed in order; collects text and whatever would fetch something."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []
        self.fetched: list[str] = []
        self.tags: dict[str, int] = {}
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] = self.tags.get(tag, 0) + 1
        self.fetched += [f"{tag} {key}" for key, _ in attrs if key in ("src", "href", "xlink:href") or key[:2] == "on"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] = self.tags.get(tag, 0) + 1

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


def person(name: str, x: float, y: float, state: State, track: int | None, *candidates: tuple[str, float]) -> Person:
    return Person(
        id=name, x_m=x, y_m=y, covariance_m2=(0.1, 0.0, 0.1), velocity_m_s=(0.0, 0.0), candidates=candidates,
        state=state, sources=("camera-1",), since_ns=START, track=track,
    )  # fmt: skip


def walk(
    seconds: int, name: str = "Ada", has_truth: bool = True, counted: Mapping[str, int] | None = None
) -> Iterator[Message]:
    """One person walks along x, confirmed on their own body but from 20 to 25 s on somebody else's; with health, of
    whose counters some grow by `counted` a second."""
    for tick in range(seconds * 5):
        t_ns, x = START + tick * SECOND // 5, 1.0 + tick / 50
        if has_truth:
            position = np.array([(x, 2.0), (x, 6.0)])
            yield Truth(source="simulated", t_ns=t_ns, seq=tick, people=(name, "guest"), position=position,
                        enrolled=(name, ""), seen_by=(("camera-1",), ("camera-1",)))  # fmt: skip
        own = person(name, x, 2.1, "confirmed", 1, (name, 0.9), ("unknown", 0.1))
        other = person("anon-2", x, 6.0, "anonymous", 2, ("unknown", 0.8), (name, 0.2))
        if 100 <= tick < 125:
            own = person("anon-1", x, 2.1, "anonymous", 1, ("unknown", 1.0))
            other = person(name, x, 6.0, "confirmed", 2, (name, 0.7), ("unknown", 0.3))
        yield Scene(source="fusion", t_ns=t_ns, seq=tick, people=(own, other))
        if tick in (100, 125):
            yield Event(source="fusion", t_ns=t_ns, seq=tick, type="confirm", id=name, track=2, text=f"body is {name}")
        if tick % 5 == 0:
            counters = {"too_late:camera-1": tick // 50, "gated_out": 2, "used:camera-1": tick}
            counters |= {counter: tick // 5 * each for counter, each in (counted or {}).items()}
            yield Health(source="fusion", t_ns=t_ns, seq=tick, state="ok", counters=counters)


def recording(path: Path, messages: Iterator[Message], site: str = DEMO) -> Path:
    with SessionWriter(path, site) as writer:
        for message in messages:
            writer.write(Received(message.topic, message, Stamp("b007", message.t_ns), encode(message)), message.t_ns)
    return path


def page_of(session: Path) -> Page:
    out = session.with_suffix(".html")
    assert cli.main(["report", str(session)]) == 0
    return Page(out.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "made.mcap"
    assert cli.main(["simulate", str(path), "--boxes", "--seconds", "30", "--seed", "11"]) == 0
    return path


def test_a_simulated_session_has_every_part(simulated: Path) -> None:
    shown = page_of(simulated)
    for heading in ("Where they went", "Who was whom", "How far off", "Can probabilities be trusted", "The stream"):
        assert heading in shown.words
    assert all(name in shown.words for name in ("Ada", "Bruno", "Chidi", "Dana", "camera-1", "sniffer-4"))
    assert shown.tags["svg"] > 10


def test_the_page_needs_nothing_else(simulated: Path) -> None:
    shown = page_of(simulated)
    assert shown.fetched == []
    assert not set(shown.tags) & {"script", "link", "img", "iframe", "object", "image", "use"}
    text = simulated.with_suffix(".html").read_text(encoding="utf-8")
    assert not re.search(r"https?://|@import|url\((?!#)", text)


def test_the_page_says_what_evaluate_says(simulated: Path) -> None:
    result = evaluate_session(simulated)
    shown = page_of(simulated)
    for line in in_words({**result, "ended": None}):
        assert " ".join(line.split()) in shown.words
    for tile in figures.judged(result):
        assert tile.value in shown.words
    assert figures.percent(result["named_right"]) in shown.words
    assert figures.metres(result["oracle_error_m"]) in shown.words
    assert figures.percent(result["calibration_all"]["expected_error"]) in shown.words


def test_the_same_session_gives_the_same_bytes(simulated: Path) -> None:
    first, again = simulated.with_name("a.html"), simulated.with_name("b.html")
    write_report(simulated, first)
    write_report(simulated, again)
    assert first.read_bytes() == again.read_bytes()


def test_right_and_wrong_are_marked(tmp_path: Path) -> None:
    session = recording(tmp_path / "s.mcap", walk(40))
    shown = page_of(session)
    assert "Ada, 0:00 to 0:20: confirmed, on body 1, right" in shown.words
    assert "Ada, 0:20 to 0:25: confirmed, on body 2, wrong" in shown.words
    assert re.search(r"0:20 confirm body is Ada wrong 0:25 confirm body is Ada right", shown.words)
    assert "too_late:camera-1 3" in shown.words
    assert "gated_out 2" in shown.words


def test_who_was_recognised_again_is_told_where_anybody_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    counted = {"recognised:appearance": 3, "portraits:appearance": 1, "recognised:gait": 2, "portraits:gait": 0}
    session = recording(tmp_path / "s.mcap", walk(40, counted=counted))
    assert "Recognised again" in page_of(session).words
    assert re.search(r"remembers looks 117 39 gait 78 0 The stream", page_of(session).words)
    capsys.readouterr()
    assert cli.main(["evaluate", "session", str(session)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "recognised by looks 117 times that it spoke of who a body is; it remembers 39 bodies gone" in said
    assert "recognised by gait 78 times" in said
    told = {"appearance": {"recognised": 117, "portraits": 39}, "gait": {"recognised": 78, "portraits": 0}}
    assert evaluate_session(session)["recognised"] == told


def test_several_sessions_are_scored_one_by_one_and_calibration_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [str(recording(tmp_path / f"{name}.mcap", walk(length))) for name, length in (("a", 40), ("b", 30))]
    assert cli.main(["evaluate", "session", *files, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert [session["session"] for session in said["sessions"]] == files
    assert said["calibration"] == pooled(session["calibration"] for session in said["sessions"])
    assert cli.main(["evaluate", "session", *files]) == 0
    shown = capsys.readouterr().out
    assert all(f"{file}:\n" in shown for file in files)
    assert f"calibration error {said['calibration']['expected_error']:.3f} of top names" in shown


def test_fused_anew_what_was_recorded_of_recognition_is_not_told(
    simulated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    messages = list(Session(simulated).messages())
    recorded = Health(source="fusion", t_ns=messages[-1].t_ns, seq=0, state="ok", counters={"recognised:smell": 3})
    session = recording(tmp_path / "s.mcap", iter([*messages, recorded]), site_as_json(Session(simulated).site()))
    for again, told in (([], True), (["--again"], False)):
        assert cli.main(["evaluate", "session", str(session), "--json", *again]) == 0
        assert ("smell" in json.loads(capsys.readouterr().out)["recognised"]) == told


def test_without_recognition_nothing_is_said_of_it(tmp_path: Path) -> None:
    session = recording(tmp_path / "s.mcap", walk(40))
    assert "ecognised" not in page_of(session).words
    assert not any("recognised" in line for line in in_words(evaluate_session(session)))


def test_without_truth_nothing_is_judged(tmp_path: Path) -> None:
    shown = page_of(recording(tmp_path / "s.mcap", walk(40, has_truth=False)))
    assert "holds no ground truth" in shown.words
    assert "Ada, 0:00 to 0:20: confirmed, on body 1" in shown.words
    assert "Where they went" in shown.words
    assert not re.search(r"on body \d, (right|wrong)|named right|How far off|Thin dashes", shown.words)


def test_bodies_without_any_name_are_drawn(tmp_path: Path) -> None:
    """As in a real recording with nobody enrolled."""
    body = (person("anon-1", 2.0, 2.0, "anonymous", 1, ("unknown", 1.0)),)
    moved = (person("anon-1", 8.0, 6.0, "anonymous", 1, ("unknown", 1.0)),)
    scenes = (Scene(source="fusion", t_ns=START + n * SECOND // 5, seq=n, people=(body, moved)[n]) for n in range(2))
    page_of(session := recording(tmp_path / "s.mcap", scenes, site=NOBODY))
    html = session.with_suffix(".html").read_text(encoding="utf-8")
    assert len(re.findall(r'<path d="M[^"]*" class="body-path"/>', html)) == 2  # wide and narrow
    assert "Who was whom" not in html


def test_too_little_truth_is_said(tmp_path: Path) -> None:
    shown = page_of(recording(tmp_path / "s.mcap", walk(10)))
    assert "less than 15 s of ground truth" in shown.words


def test_an_empty_session_is_a_page_that_says_so(tmp_path: Path) -> None:
    shown = page_of(recording(tmp_path / "s.mcap", iter(())))
    assert "Nobody was published in this session" in shown.words
    assert "No sensor said anything" in shown.words


def test_truth_without_scenes_is_a_page(tmp_path: Path) -> None:
    only = (message for message in walk(40) if isinstance(message, Truth))
    shown = page_of(recording(tmp_path / "s.mcap", only))
    assert "Nobody was published in this session" in shown.words


def test_a_session_without_a_readable_site_is_drawn_on_what_was_walked(tmp_path: Path) -> None:
    shown = page_of(recording(tmp_path / "s.mcap", walk(40), site="{}"))
    assert "walls and sensors are left out" in shown.words
    assert "Trajectory of Ada" in shown.words


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_cut_session_is_a_page_that_says_so(simulated: Path, tmp_path: Path, share: float) -> None:
    cut = tmp_path / "cut.mcap"
    data = simulated.read_bytes()
    cut.write_bytes(data[: int(len(data) * share)])
    assert "was cut (it has no orderly end)" in page_of(cut).words


@pytest.mark.parametrize("content", [b"", b"not a recording", bytes(500)])
def test_no_session_is_one_sentence(content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = tmp_path / "wrong.mcap"
    wrong.write_bytes(content)
    assert cli.main(["report", str(wrong)]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"whowhere report: {wrong} is not a recording")
    assert len(said.strip().splitlines()) == 1
    assert not wrong.with_suffix(".html").exists()


def test_a_missing_session_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["report", str(tmp_path / "none.mcap")]) == 1
    assert "cannot be read: No such file" in capsys.readouterr().err


def test_only_a_report_is_replaced(simulated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = tmp_path / "mine.html"
    mine.write_text("<p>dear diary</p>")
    assert cli.main(["report", str(simulated), "--out", str(mine)]) == 1
    assert "exists already and is no report" in capsys.readouterr().err
    assert mine.read_text() == "<p>dear diary</p>"
    assert cli.main(["report", str(simulated), "--out", str(simulated)]) == 1
    for _ in range(2):
        assert cli.main(["report", str(simulated), "--out", str(tmp_path / "new.html")]) == 0


def test_names_are_text_and_never_markup(tmp_path: Path) -> None:
    shown = page_of(recording(tmp_path / "s.mcap", walk(40, name=NASTY)))
    assert "script" not in shown.tags
    assert NASTY in shown.words


def test_positions_that_are_no_numbers_and_absurd_times_are_survived(tmp_path: Path) -> None:
    def broken() -> Iterator[Message]:
        for message in walk(40):
            if isinstance(message, Scene) and message.seq % 7 == 0:
                nowhere = replace(message.people[0])
                force_setattr(nowhere, "x_m", float("nan"))  # as another program may write it
                message = replace(message, people=(nowhere, *message.people[1:]))
            yield message
        yield Scene(source="fusion", t_ns=2**63 + 7, seq=9999, people=())
        yield Event(source="fusion", t_ns=2**63 + 8, seq=9999, type="warning", text="the clock jumped")

    shown = page_of(recording(tmp_path / "s.mcap", broken()))
    assert "the clock jumped" in shown.words
    assert "nan" not in shown.words.split()


@pytest.mark.parametrize("seed", range(8))
def test_a_damaged_session_is_a_page_or_a_sentence(
    seed: int, simulated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(seed)
    data = bytearray(simulated.read_bytes())
    for place in rng.integers(20 if seed % 2 else 0, len(data), 1 + 5 * seed):
        data[place] = rng.integers(256)
    broken = tmp_path / "broken.mcap"
    broken.write_bytes(data)
    status = cli.main(["report", str(broken)])
    said = capsys.readouterr().err.strip()
    assert "a fault in whowhere itself" not in said
    assert (status, len(said.splitlines())) in ((0, 0), (1, 1), (1, 2))


def test_many_people_and_long_names_are_counted(tmp_path: Path) -> None:
    people = tuple(person(f"{'x' * 60} {n}", n / 5, 2.0, "wireless", None, ("unknown", 1.0)) for n in range(40))
    scenes = (Scene(source="fusion", t_ns=START + n * SECOND // 5, seq=n, people=people) for n in range(50))
    assert "The first 24 of 44 people." in page_of(recording(tmp_path / "s.mcap", scenes)).words


def test_a_long_walk_keeps_its_last_minutes(tmp_path: Path) -> None:
    story = report_of(recording(tmp_path / "s.mcap", walk(400))).story
    times = [place.t_ns for place in story.places["Ada"]]
    assert (times[0] - START, times[-1] - START) == (219.8 * SECOND, 399.8 * SECOND)
    assert story.ribbons["Ada"].blocks[0].from_ns == START


def test_the_story_is_told_in_seconds_of_the_scenes(simulated: Path) -> None:
    first_ns, last_ns = report_of(simulated).story.span_ns
    assert 28.0 < (last_ns - first_ns) / 1e9 <= 30.0
