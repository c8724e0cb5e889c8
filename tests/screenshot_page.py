"""Take the picture of a running live page: real Chromium, driven over the WebDriver protocol, no further package.

    whowhere demo --no-browser &
    python tests/screenshot_page.py http://localhost:8010/ docs/live-page.png --wait 30

It needs `chromium` and `chromedriver` on the path. It also prints what the browser's console complained about.
"""

import argparse
import base64
import json
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

QUIET = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --hide-scrollbars"
)


def ask(port: int, path: str, body: dict[str, Any] | None = None, method: str = "POST") -> Any:
    data = json.dumps(body or {}).encode() if method == "POST" else None
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, {"Content-Type": "application/json"})
    request.method = method
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)["value"]


def wait_for_driver(port: int) -> None:
    for _ in range(100):
        try:
            if ask(port, "/status", method="GET")["ready"]:
                return
        except urllib.error.URLError:
            time.sleep(0.1)
    raise SystemExit("chromedriver does not answer")


def picture(args: argparse.Namespace, profile: str) -> None:
    width, height = (int(n) for n in args.size.split("x"))
    options: dict[str, Any] = {
        "args": [*QUIET.split(), f"--user-data-dir={profile}", f"--window-size={width},{height}"]
    }
    if args.dark:
        options["args"].append("--force-dark-mode")
    if width < 600:
        options["mobileEmulation"] = {"deviceMetrics": {"width": width, "height": height, "pixelRatio": 2.0}}
    wanted = {"alwaysMatch": {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}}
    session = ask(args.driver_port, "/session", {"capabilities": wanted})["sessionId"]
    try:
        ask(args.driver_port, f"/session/{session}/url", {"url": args.url})
        if args.script:
            ask(args.driver_port, f"/session/{session}/execute/sync", {"script": args.script, "args": []})
        time.sleep(args.wait)
        image = ask(args.driver_port, f"/session/{session}/screenshot", method="GET")
        Path(args.out).write_bytes(base64.b64decode(image))
        for entry in ask(args.driver_port, f"/session/{session}/se/log", {"type": "browser"}):
            print(f"console {entry['level']}: {entry['message']}")
    finally:
        ask(args.driver_port, f"/session/{session}", method="DELETE")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("out")
    parser.add_argument("--wait", type=float, default=6.0, metavar="S", help="seconds between opening and picture")
    parser.add_argument("--size", default="1280x860", metavar="WxH", help="below 600 wide it is a phone")
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--script", default="", help="JavaScript to run once the page is open")
    parser.add_argument("--driver-port", type=int, default=9715)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        driver = subprocess.Popen(
            ["chromedriver", f"--port={args.driver_port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            wait_for_driver(args.driver_port)
            picture(args, profile)
        finally:
            driver.terminate()
            driver.wait(10)
    print(f"{args.out}: {args.size} of {args.url}", file=sys.stderr)


if __name__ == "__main__":
    main()
