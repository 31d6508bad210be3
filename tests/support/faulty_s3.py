"""An S3 server that answers for chosen keys as a broken one would; for all others it is a real one."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import unquote, urlsplit


@dataclass(frozen=True)
class Answer:
    """An answer on its way back: ``cut_at`` bytes of the body it breaks off, each byte takes ``pause``."""

    status: int
    headers: dict[str, str]
    body: bytes
    cut_at: int | None = None
    pause: float = 0.0


@dataclass(frozen=True)
class Request:
    """What was asked for ``key``, for the ``number``-th time, counted from 1."""

    method: str
    key: str
    headers: dict[str, str]
    number: int


Fault = Callable[[Request, Answer], Answer]


def error(status: int, code: str) -> Fault:
    """An S3 error as the answer."""

    def fault(request: Request, answer: Answer) -> Answer:
        body = f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()
        headers = {"Content-Type": "application/xml", "Content-Length": str(len(body))}
        return Answer(status, headers, b"" if request.method == "HEAD" else body)

    return fault


def changed(**changes: object) -> Fault:
    """The real answer with other values."""
    return lambda _, answer: replace(answer, **changes)  # type: ignore[arg-type]


def with_etag(etag: str) -> Fault:
    """The real answer with another ETag."""
    return lambda _, answer: replace(answer, headers=answer.headers | {"ETag": f'"{etag}"'})


def first(times: int, fault: Fault) -> Fault:
    """The fault in the first requests only."""
    return lambda request, answer: fault(request, answer) if request.number <= times else answer


@dataclass
class FaultyServer:
    """Stands in front of the server at ``target`` (host, port). ``faults`` by the end of /bucket/key."""

    target: tuple[str, int]
    faults: dict[str, Fault] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)

    def __enter__(self) -> FaultyServer:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def noted(self, method: str, path: str, headers: dict[str, str]) -> Request:
        """The request as it goes into ``requests``."""
        key = unquote(urlsplit(path).path)
        number = 1 + sum(seen.key == key and seen.method == method for seen in self.requests)
        self.requests.append(request := Request(method, key, headers, number))
        return request

    def answer(self, request: Request, real: Answer) -> Answer:
        """The real answer, or what a fault makes of it."""
        found = (fault for part, fault in self.faults.items() if request.key.endswith(part))
        fault = next(found, None)
        return fault(request, real) if fault else real


def _handler(server: FaultyServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass_on(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            connection = http.client.HTTPConnection(*server.target)
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                connection.putheader(name, value)
            connection.endheaders(content)
            got = connection.getresponse()
            real = Answer(got.status, dict(got.getheaders()), got.read())
            connection.close()
            request = server.noted(self.command, self.path, dict(self.headers))
            self._send(server.answer(request, real))

        def _send(self, answer: Answer) -> None:
            self.send_response_only(answer.status)
            hop_by_hop = ("transfer-encoding", "connection")
            for name, value in answer.headers.items():
                if name.lower() not in hop_by_hop:
                    self.send_header(name, value)
            self.send_header("Connection", "close")
            self.end_headers()
            self.close_connection = True
            body = answer.body[: answer.cut_at]
            try:
                for at in range(0, len(body), 1 if answer.pause else len(body) or 1):
                    self.wfile.write(body[at:] if not answer.pause else body[at : at + 1])
                    time.sleep(answer.pause)
            except OSError:
                pass  # nobody listens any more

        do_GET = do_HEAD = do_PUT = do_DELETE = _pass_on

        def log_message(self, *_: object) -> None:
            pass

    return Handler
