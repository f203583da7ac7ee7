"""The server: one page, one socket, on this machine only.

The address holds a token, and every path begins with it. A request is refused unless its Host is
this server's, its Origin, if there is one, too, and its token is right. A socket needs an Origin.
The browser names no file: the page's files are listed here.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import secrets
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .._utils.optional import require
from ._engine import PlayEngine

HOST = "127.0.0.1"
PAGE = Path(__file__).with_name("page")
_TYPES = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".css": "text/css",
}
_MOST_BYTES = 64 << 10  # of a message of the page


def page_files() -> dict[str, Path]:
    """Return the files of the page by their names in the address."""
    return {
        path.relative_to(PAGE).as_posix(): path
        for path in sorted(PAGE.rglob("*"))
        if path.suffix in _TYPES
    }


def check_installed() -> None:
    """Raise DataError if the packages of ``fastmlp[playground]`` are not installed."""
    for name in ("starlette", "uvicorn", "websockets"):
        require(name, "playground", "The playground")


class PlaygroundServer:
    """Serves the page of an engine.

    Parameters
    ----------
    engine : PlayEngine
    port : int
        0 for one that is free.

    Attributes
    ----------
    url : str
        The page's address, with the token.
    """

    def __init__(self, engine: PlayEngine, port: int = 0) -> None:
        check_installed()
        uvicorn = require("uvicorn", "playground", "The playground")
        self.engine, self.token = engine, secrets.token_urlsafe(24)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((HOST, port))
            self._socket.listen()  # a browser that is opened at once waits
        except (OSError, OverflowError) as error:
            self._socket.close()
            raise ValueError(
                f"port must be free on this machine; 0 chooses one. Received: port={port}"
            ) from error
        self.port = self._socket.getsockname()[1]
        self.url = f"http://{HOST}:{self.port}/{self.token}/"
        self._files = page_files()
        self._owner: Callable[[bytes | None], None] | None = None
        config = uvicorn.Config(
            self.application(), log_config=None, log_level="error", access_log=False,
            ws="websockets-sansio", ws_max_size=_MOST_BYTES, ws_per_message_deflate=False,
            timeout_graceful_shutdown=1, lifespan="off",
        )  # fmt: skip
        self._server = uvicorn.Server(config)
        self._thread: threading.Thread | None = None

    def run(self) -> None:
        """Serve until Ctrl-C, or until `close` is called."""
        try:
            self._server.run(sockets=[self._socket])
        finally:
            self.engine.close(0.5)
            self._socket.close()

    def start(self) -> None:
        """Serve in a thread."""
        self._thread = threading.Thread(target=self.run, name="fastmlp server", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the server and its engine, within two seconds."""
        self._server.should_exit = True
        self.engine.close(0.5)
        if self._thread is not None:
            self._thread.join(2)

    # ---- what is let in ----

    def _refusal(self, headers: Any, token: str, needs_origin: bool) -> str | None:
        """Return why a request is refused; None if it is not."""
        own = {f"{name}:{self.port}" for name in (HOST, "localhost")}
        hosts = headers.getlist("host")
        if len(hosts) != 1 or hosts[0] not in own:
            return "wrong Host"
        origins = headers.getlist("origin")
        if (needs_origin or origins) and origins != [f"http://{hosts[0]}"]:
            return "wrong Origin"
        if not hmac.compare_digest(token.encode("utf-8", "replace"), self.token.encode()):
            return "wrong token: open the address that fastmlp playground printed"
        return None

    def application(self) -> Any:
        """Return the ASGI application."""
        starlette = require("starlette.applications", "playground", "The playground")
        responses = require("starlette.responses", "playground", "The playground")
        routing = require("starlette.routing", "playground", "The playground")

        async def give(request: Any) -> Any:
            why = self._refusal(request.headers, request.path_params["token"], False)
            if why is not None:
                return responses.PlainTextResponse(f"Refused: {why}.\n", 403)
            path = self._files.get(request.path_params["name"] or "index.html")
            if path is None:
                return responses.PlainTextResponse("There is no such file.\n", 404)
            content = path.read_bytes()
            return responses.Response(content, media_type=_TYPES[path.suffix], headers=_HEADERS)

        routes = [
            routing.WebSocketRoute("/{token}/play", self._play),
            routing.Route("/{token}/{name:path}", give),
        ]
        return starlette.Starlette(routes=routes)

    async def _play(self, websocket: Any) -> None:
        """Carry messages between a page and the engine; the latest page has it."""
        sockets = require("starlette.websockets", "playground", "The playground")
        if self._refusal(websocket.headers, websocket.path_params["token"], True) is not None:
            await websocket.close(4403)
            return
        await websocket.accept()
        loop, queue = asyncio.get_running_loop(), asyncio.Queue[bytes | None](400)

        def put(frame: bytes | None) -> None:
            with contextlib.suppress(asyncio.QueueFull):  # a page that reads nothing
                queue.put_nowait(frame)

        if self._owner is not None:
            self._owner(None)  # the page that had it ends
        self._owner = put

        def send(frame: bytes) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(put, frame)

        async def forward() -> None:
            while (frame := await queue.get()) is not None:
                await websocket.send_bytes(frame)
            await websocket.close(4409)

        self.engine.attach(send)
        sender = asyncio.create_task(forward())
        try:
            while True:
                message = await websocket.receive()
                if message["type"] == "websocket.disconnect":
                    break
                self.engine.control(message.get("text"))
        except (sockets.WebSocketDisconnect, RuntimeError):
            pass
        finally:
            sender.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await sender
            if self._owner is put:
                self._owner = None
                self.engine.attach(None)


def _policy() -> str:
    """Return the page's policy: nothing but its own files and its own socket."""
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


_HEADERS = {
    "Content-Security-Policy": _policy(),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
