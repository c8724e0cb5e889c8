"""From a session's file to its page: one pass that evaluates and gathers at once."""

from pathlib import Path

from ...nodes.session import Session, SessionError
from ...sitefile import Site, SiteError, site_from_json
from ..errors import LaunchError
from ..evaluate.session import Evaluation, recorded
from ..whole_files import write_whole
from .page import MARK, Report, page
from .story import Story

LOOKED_AT = 1000  # characters of a file that is in the way: enough to know a page of ours


def report_of(path: Path) -> Report:
    """Read a session. Raises SessionError where it is none, LaunchError where nothing of whowhere is in it."""
    session = Session(path)
    story = Story()
    evaluation = Evaluation(observer=story.judge)
    for message, t_sent_ns in recorded(session):
        story.add(message)  # first: the evaluation may judge a scene at once
        evaluation.add(message, t_sent_ns)
    result = evaluation.result()
    story.finish()
    notes = [session.ended] if session.ended else []
    site = _site(session, story, notes)
    if site is None and not result["messages"]:
        raise LaunchError(f"{path} holds nothing that whowhere recorded", "whowhere simulate session.mcap --seconds 60")
    if malformed := session.counters["malformed"]:
        notes.append(f"{malformed} messages could not be read and are left out.")
    return Report(path.name, story, result, evaluation.score.positions, site, tuple(notes))


def write_report(session: Path, out: Path) -> int:
    """Write the page and say how many bytes. A page of ours is replaced, anything else in the way is left alone.

    Raises LaunchError, SessionError.
    """
    if out.exists() and not _is_ours(out):
        raise LaunchError(f"{out} exists already and is no report", f"whowhere report {session} --out ANOTHER.html")
    text = page(report_of(session))
    write_whole(out, text)
    return len(text.encode())


def _site(session: Session, story: Story, notes: list[str]) -> Site | None:
    """The site in force: attached to the file, or published in it; None, with a note, where there is none."""
    try:
        return session.site()
    except (SessionError, SiteError):
        pass
    try:
        return site_from_json(story.document)
    except SiteError:
        notes.append("This session holds no site file that can be read, so walls and sensors are left out.")
        return None


def _is_ours(path: Path) -> bool:
    with path.open("rb") as file:
        return MARK.encode() in file.read(LOOKED_AT)
