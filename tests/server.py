"""A file server on this machine that misbehaves as a test tells it to."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CONTENT = bytes(range(256)) * 1000


@dataclass
class Place:
    """How one address answers.

    `breaks`: bytes after which the first answers break off, one entry an answer. `length`: a lie about the bytes.
    `stalls`: bytes after which the answer stays open and says nothing more.
    """

    content: bytes = CONTENT
    status: int = 200
    kind: str = "application/octet-stream"
    ranges: bool = True
    tag: str = '"one"'
    breaks: list[int] = field(default_factory=list)
    failures: int = 0
    redirect: str = ""
    length: int | None = None
    stalls: int | None = None


class Server:
    """A small file server that misbehaves as told, and remembers the requests: (path, Range header)."""

    def __init__(self) -> None:
        self.places: dict[str, Place] = {}
        self.requests: list[tuple[str, str | None]] = []
        self.ended = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.requests.append((self.path, self.headers.get("Range")))
                outer.answer(self, outer.places.get(self.path, Place(status=404)))

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.http.server_address[1]}{path}"

    def answer(self, handler: BaseHTTPRequestHandler, place: Place) -> None:
        if place.redirect:
            handler.send_response(302)
            handler.send_header("Location", place.redirect)
            handler.end_headers()
            return
        if place.status != 200 or place.failures:
            place.failures -= bool(place.failures)
            handler.send_error(place.status if place.status != 200 else 503)
            return
        start = self._start(handler, place)
        handler.send_response(206 if start else 200)
        handler.send_header("Content-Type", place.kind)
        stated = len(place.content) if place.length is None else place.length
        handler.send_header("Content-Length", str(stated - start))
        if place.tag:
            handler.send_header("ETag", place.tag)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(place.content) - 1}/{len(place.content)}")
        handler.end_headers()
        end = start + place.breaks.pop(0) if place.breaks else len(place.content)
        handler.wfile.write(place.content[start : end if place.stalls is None else place.stalls])
        while place.stalls is not None and not self.ended.wait(0.05):
            pass
        handler.close_connection = True

    def _start(self, handler: BaseHTTPRequestHandler, place: Place) -> int:
        asked = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        current = handler.headers.get("If-Range", place.tag) == place.tag
        return int(asked[1]) if asked and place.ranges and current else 0


@contextmanager
def running() -> Iterator[Server]:
    """Serve until the end of the block."""
    server = Server()
    thread = threading.Thread(target=server.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.ended.set()
        server.http.shutdown()
        server.http.server_close()
        thread.join()
