"""A server on this machine whose answers a test chooses: whole, broken off, or lying."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = Callable[[BaseHTTPRequestHandler, int], None]


class Server:
    """Answers the requests in turn, the last answer for all that follow; by path where told."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.paths: dict[str, list[Answer]] = {}
        self.asked: list[str] = []  # the Range headers
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                wanted = self.headers.get("Range", "")
                outer.asked.append(wanted)
                answers = outer.paths.get(self.path, outer.answers)
                answer = answers.pop(0) if len(answers) > 1 else answers[0]
                answer(self, int(wanted.removeprefix("bytes=").rstrip("-") or 0))

            def log_message(self, *args: object) -> None:
                del args

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.root = f"http://127.0.0.1:{self.server.server_port}"
        self.url = f"{self.root}/weights.pth"


@contextmanager
def running() -> Iterator[Server]:
    """Start a server, and stop it after the block."""
    made = Server()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield made
    finally:
        made.server.shutdown()
        thread.join()
        made.server.server_close()


def reply(body: bytes, *, claim: int | None = None, ranges: bool = True) -> Answer:
    """Serve `body`, whole or from the byte asked for, saying it had `claim` bytes."""

    def answer(request: BaseHTTPRequestHandler, start: int) -> None:
        start = start if ranges else 0
        if start and start >= len(body):
            return request.send_error(416)
        request.send_response(206 if start else 200)
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        length = (len(body) if claim is None else claim) - start
        request.send_header("Content-Length", str(length))
        request.end_headers()
        request.wfile.write(body[start : start + length])
        return None

    return answer


def broken(status: int) -> Answer:
    return lambda request, start: request.send_error(status)
