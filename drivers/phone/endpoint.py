"""Where phones upload: POST over HTTP or HTTPS, a token for each phone, and what came handed on under one lock.

A thread runs the server; whoever opened it takes the finished seconds out. It answers an unknown token, a body that is
too large and one that is no upload with one sentence each, and counts them. It logs no token and no body.
"""

import asyncio
import hashlib
import socket
import ssl
import threading
import time
from collections import Counter
from types import TracebackType
from typing import Self

import uvicorn
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, Router

from ...messages import PhoneBatch
from ...sitefile import Gateway, Phone, is_loopback
from ..errors import DeviceRefused
from .gateway import Uploads
from .uploads import MAX_BYTES, BadUpload

PATH = "/upload"
MOST_AT_ONCE = 200  # connections; a phone needs one
BODY_S = 20.0  # a body that takes longer is given up
_COUNTED = ("unknown_token", "too_large", "bad_uploads", "broken_off")


class Endpoint:
    """Serves the gateway's address while open. Raises DeviceRefused where it cannot be had, where HTTPS is needed and
    not there, or where certificate and key do not fit."""

    def __init__(self, gateway: Gateway, phones: tuple[Phone, ...], uploads: Uploads) -> None:
        check_reach(gateway)
        self._lock = threading.Lock()
        self._uploads = uploads
        self._refused: Counter[str] = Counter(dict.fromkeys(_COUNTED, 0))
        self._phone_by_digest = {_digest(phone.token): phone.id for phone in phones if phone.token}
        context = _tls(gateway)
        self._socket = _bound(gateway)
        host = "localhost" if gateway.host in ("0.0.0.0", "::") else gateway.host
        scheme = "https" if context else "http"
        self.url = f"{scheme}://{f'[{host}]' if ':' in host else host}:{self._socket.getsockname()[1]}{PATH}"
        config = uvicorn.Config(
            Router([Route(path, self._post, methods=["POST"]) for path in (PATH, "/")]),
            proxy_headers=False,
            log_level="critical",
            access_log=False,
            lifespan="off",
            ws="none",
            limit_concurrency=MOST_AT_ONCE,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=1,
            server_header=False,
        )
        config.load()
        config.ssl = context
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve, name="phone-gateway", daemon=True)

    def due(self) -> list[PhoneBatch]:
        """The seconds that are ready now. Raises DeviceRefused where the server has ended by itself."""
        if not self._thread.is_alive():
            raise DeviceRefused(f"{self.url}: the gateway's server ended by itself; start the gateway again")
        with self._lock:
            return self._uploads.due(time.time_ns())

    @property
    def detail(self) -> str:
        with self._lock:
            wrong = self._uploads.detail
        return f"{self.url}; {wrong}" if wrong else self.url

    @property
    def counters(self) -> dict[str, int]:
        with self._lock:
            return {**self._uploads.counters, **self._refused}

    async def _post(self, request: Request) -> Response:
        phone = self._phone_of(request)
        if phone is None:
            self._refused["unknown_token"] += 1
            return _says(401, "this token is no enrolled phone's: compare it with the site file's [[phones]]")
        try:
            async with asyncio.timeout(BODY_S):
                body = await _body(request)
        except (ClientDisconnect, TimeoutError):
            self._refused["broken_off"] += 1
            return _says(408, f"the upload did not come within {BODY_S:g} s: send it again")
        if body is None:
            self._refused["too_large"] += 1
            return _says(413, f"an upload may have {MAX_BYTES} bytes: send smaller ones, more often")
        try:
            with self._lock:
                is_new = self._uploads.take(phone, body, time.time_ns())
        except BadUpload as error:
            self._refused["bad_uploads"] += 1
            return _says(400, str(error))
        return JSONResponse({"ok": True, "new": is_new})

    def _phone_of(self, request: Request) -> str | None:
        """Whose token it is. What is looked up is the token's digest: how long that takes tells nothing of a token."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            token = request.query_params.get("token", "")
        return self._phone_by_digest.get(_digest(token.strip()))

    def _serve(self) -> None:
        asyncio.run(self._server.serve([self._socket]))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=3.0)
        self._socket.close()


def check_reach(gateway: Gateway) -> None:
    """Raises DeviceRefused where uploads, and the tokens in them, would cross a network unencrypted."""
    if (gateway.certificate is None) != (gateway.key is None):
        raise DeviceRefused(
            "gateway.certificate and gateway.key belong together: set both in the site file, or neither"
        )
    if gateway.certificate is None and not is_loopback(gateway.host):
        raise DeviceRefused(
            f'gateway.host = "{gateway.host}" is reachable from other machines, so uploads need HTTPS: set '
            "gateway.certificate and gateway.key in the site file (docs/phone.md says how to make them)"
        )


async def _body(request: Request) -> bytes | None:
    """None for one that is too large, of which no more is read than that."""
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > MAX_BYTES:
        return None
    chunks, size = [], 0
    async for chunk in request.stream():
        chunks.append(chunk)
        size += len(chunk)
        if size > MAX_BYTES:
            return None
    return b"".join(chunks)


def _says(status: int, sentence: str) -> Response:
    return JSONResponse({"error": sentence}, status_code=status)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


def _tls(gateway: Gateway) -> ssl.SSLContext | None:
    if gateway.certificate is None or gateway.key is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(gateway.certificate, gateway.key)
    except (OSError, ssl.SSLError) as error:
        raise DeviceRefused(
            f"gateway.certificate and gateway.key ({gateway.certificate}, {gateway.key}) cannot be used: {error}"
        ) from error
    return context


def _bound(gateway: Gateway) -> socket.socket:
    bound = socket.socket(socket.AF_INET6 if ":" in gateway.host else socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((gateway.host, gateway.port))
        bound.listen(128)
    except OSError as error:
        bound.close()
        raise DeviceRefused(
            f"the gateway's address {gateway.host}:{gateway.port} cannot be had ({error.strerror}): stop what uses it, "
            "or set gateway.port in the site file to another port"
        ) from error
    return bound
