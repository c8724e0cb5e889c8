"""Write one HTML page about a session: who was where, who was taken for whom, and how far that can be trusted.

The page needs no network and no other file. Against a simulated site's truth it marks right and wrong names and draws
error curves, reliability and an oracle; of a real recording it shows what can be known without, and says so.
"""

import argparse
from pathlib import Path

from ..arguments import new_file

EXAMPLE = """
whowhere report session.mcap                 # writes session.html
whowhere report session.mcap --out page.html
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("session", metavar="SESSION", help="a session file (.mcap)")
    parser.add_argument(
        "--out", type=new_file, metavar="FILE", help="the page to write (default: beside the session, as .html)"
    )


def run(args: argparse.Namespace) -> int:
    from ..report.write import write_report

    session = Path(args.session)
    out = Path(args.out) if args.out else session.parent / f"{session.stem}.html"
    size = write_report(session, out)
    print(f"{out}: {size / 1000:.0f} kB; open it in a browser")
    return 0
