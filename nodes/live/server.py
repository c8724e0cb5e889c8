"""The page over HTTP: static files, a WebSocket with everything at once and then live, and JSON for programs.

One thread runs the event loop, in which the board lives; the node hands messages over. No login: it listens on this
machine unless the site file says otherwise, and a browser's other tabs are refused (their origin is another).
"""

import asyncio
import mimetypes
import socket
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from ...messages import Message, as_json
from ...sitefile import Page
from .board import Board, Mailbox
from .metrics import as_prometheus

STATIC = Path(__file__).parent / "static"
KEEP_ALIVE_S = 2.0
FRESH_S = 5.0  # with an older scene /healthz says 503
LOCAL = ("127.0.0.1", "localhost")  # other names that lead here are a stranger's (DNS rebinding)
POLICY = "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data:; frame-ancestors 'none'"


class PageError(Exception):
    """The page cannot be served; the text is one sentence that says what would help."""


def make_app(board: Board, hosts: Sequence[str] = ("*",)) -> Starlette:
    """The web application over a board, whose event loop it must run in. hosts: the names it answers to."""

    async def scene(_: Request) -> Response:
        if board.scene is None:
            return JSONResponse({"error": "no scene yet: is fusion running?"}, status_code=503)
        return Response(as_json(board.scene), media_type="application/json")

    async def health(_: Request) -> Response:
        return Response(as_json(list(board.healths.values())), media_type="application/json")

    async def healthz(_: Request) -> Response:
        age_s = board.scene_age_s()
        is_fresh = age_s is not None and age_s < FRESH_S
        return JSONResponse({"ok": is_fresh, "scene_age_s": age_s}, status_code=200 if is_fresh else 503)

    async def metrics(_: Request) -> Response:
        return PlainTextResponse(as_prometheus(board.scene, board.healths), media_type="text/plain; version=0.0.4")

    async def fault(request: Request) -> Response:
        return _pull_cable(board, request, await request.body())

    async def live(browser: WebSocket) -> None:
        await _serve_live(board, browser)

    return Starlette(
        routes=[
            Route("/api/scene", scene),
            Route("/api/health", health),
            Route("/healthz", healthz),
            Route("/api/fault", fault, methods=["POST"]),
            Route("/metrics", metrics),
            WebSocketRoute("/live", live),
            *_files(),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=hosts, www_redirect=False)],
    )


class PageServer:
    """Serves `board` in a thread while open. Raises PageError where the address cannot be had."""

    def __init__(self, page: Page, board: Board) -> None:
        self._board = board
        self._socket = _bound(page)
        host = page.host if page.host not in ("0.0.0.0", "::") else "localhost"
        self.url = f"http://{host}:{self._socket.getsockname()[1]}/"
        hosts = LOCAL if page.host in LOCAL else ("*",)
        config = uvicorn.Config(
            make_app(board, hosts), log_level="error", access_log=False, timeout_graceful_shutdown=1, lifespan="off"
        )
        self._server = uvicorn.Server(config)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="page-server", daemon=True)

    def show(self, message: Message) -> None:
        """Hand a message to the board, from any thread."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._board.take, message)

    def _serve(self) -> None:
        self._loop.run_until_complete(self._server.serve([self._socket]))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=3.0)
        self._socket.close()


def _files() -> list[Route]:
    """The page's own files, read once: they are few and small."""
    headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-cache"}  # after an upgrade it is the new page

    def route(path: str, file: Path) -> Route:
        content, kind = file.read_bytes(), mimetypes.guess_type(file.name)[0]

        async def send(_: Request) -> Response:
            return Response(content, media_type=kind, headers=headers)

        return Route(path, send)

    return [route("/", STATIC / "index.html"), *(route(f"/{file.name}", file) for file in sorted(STATIC.iterdir()))]


async def _serve_live(board: Board, browser: WebSocket) -> None:
    if not _is_own_page(browser):
        await browser.close(code=1008)
        return
    await browser.accept()
    mailbox = board.join()
    tasks = {asyncio.create_task(_send(browser, mailbox)), asyncio.create_task(_until_gone(browser))}
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        board.leave(mailbox)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)  # a tab that was closed will be back or not


async def _send(browser: WebSocket, mailbox: Mailbox) -> None:
    await browser.send_json(_hello())
    while True:
        texts = await mailbox.take(KEEP_ALIVE_S)
        for text in texts:
            await browser.send_text(text)
        if not texts:
            await browser.send_json(_hello())


async def _until_gone(browser: WebSocket) -> None:
    """Browsers say nothing; whatever they send is read and forgotten."""
    while (await browser.receive())["type"] != "websocket.disconnect":
        pass


class _Cable(msgspec.Struct, forbid_unknown_fields=True):
    sensor: str
    unplugged: bool


def _pull_cable(board: Board, request: Request, body: bytes) -> Response:
    if not _is_own_page(request):
        return JSONResponse({"error": "only this site's own page may pull cables"}, status_code=403)
    try:
        wanted = msgspec.json.decode(body, type=_Cable)
        return JSONResponse(board.pull_cable(wanted.sensor, wanted.unplugged))
    except msgspec.MsgspecError as error:
        says = f'expected {{"sensor": "radar-1", "unplugged": true}}: {error}'
        return JSONResponse({"error": says}, status_code=400)
    except KeyError as error:
        return JSONResponse({"error": f"{error} is no simulated sensor of this site"}, status_code=404)
    except OSError as error:
        return JSONResponse({"error": f"the run's folder cannot be written: {error.strerror}"}, status_code=500)


def _hello() -> dict[str, Any]:
    """Tells the browser what time it is here, so that it shows true ages whatever its own clock says."""
    return {"kind": "hello", "now_ms": time.time_ns() // 1_000_000}


def _is_own_page(visitor: HTTPConnection) -> bool:
    """Programs send no origin; a browser sends the page's, and only our own page may listen and switch."""
    origin = visitor.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == visitor.headers.get("host")


def _bound(page: Page) -> socket.socket:
    family = socket.AF_INET6 if ":" in page.host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((page.host, page.port))
        bound.listen(64)
    except OSError as error:
        bound.close()
        raise PageError(
            f"the page's address {page.host}:{page.port} cannot be had ({error.strerror}): stop what uses it, "
            f"or set page.port in the site file to another port"
        ) from error
    return bound
