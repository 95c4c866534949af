"""A proxy as companies have one: it is asked for whole URLs, or for a tunnel (CONNECT), and notes both. It can answer in the
place of the server, and stand for hosts that cannot be had: their tunnels end in it, encrypted, and go on to a server here.
"""

import dataclasses
import http.client
import http.server
import select
import socket
import ssl
import threading
import urllib.parse
from collections.abc import Callable

# Of one connection: they go no further.
HOP = {"connection", "proxy-connection", "keep-alive", "proxy-authorization", "te", "trailer", "upgrade", "transfer-encoding"}


@dataclasses.dataclass
class Seen:
    method: str
    # Of a tunnel, `host:port`.
    url: str
    # By names in small letters.
    headers: dict[str, str]
    body: bytes


# Status, headers and body; None: the server is asked.
Answer = Callable[[Seen], tuple[int, dict[str, str], bytes] | None]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _pass_on(self) -> None:
        seen = self._note(self._body())
        answer = self.server.answer and self.server.answer(seen)
        if not answer:
            url = urllib.parse.urlsplit(self.path)
            asked = http.client.HTTPConnection(url.netloc, timeout=60)
            kept = {name: value for name, value in self.headers.items() if name.lower() not in HOP | {"content-length"}}
            has_body = seen.body or "content-length" in seen.headers or self.command in ("PUT", "POST")
            target = urllib.parse.urlunsplit(("", "", url.path or "/", url.query, ""))
            asked.request(self.command, target, seen.body if has_body else None, kept)
            got = asked.getresponse()
            body = got.read()
            answer = got.status, {name: value for name, value in got.getheaders() if name.lower() not in HOP}, body
            asked.close()
        status, headers, body = answer
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() != "content-length" or self.command == "HEAD":
                self.send_header(name, value)
        if self.command != "HEAD" and status not in (204, 304):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_PROPFIND = do_MKCOL = do_MOVE = do_OPTIONS = _pass_on

    def do_CONNECT(self) -> None:
        self._note(b"")
        host, _, port = self.server.stands_for.get(self.path, self.path).rpartition(":")
        with socket.create_connection((host, int(port)), 60) as server:
            self.send_response_only(200)
            self.end_headers()
            client = self.connection
            if self.path in self.server.stands_for:
                try:
                    client = self.server.tls.wrap_socket(client, server_side=True)
                except OSError:  # of a client that does not believe the certificate
                    self.close_connection = True
                    return
            # No more than a record's 16 KiB are decrypted at once: what is left shows as bytes to be read.
            ends = {client: server, server: client}
            while ready := select.select(list(ends), [], [], 60)[0]:
                for end in ready:
                    try:
                        piece = end.recv(65536)
                    except OSError:
                        piece = b""
                    if not piece:
                        self.close_connection = True
                        return
                    ends[end].sendall(piece)

    def _note(self, body: bytes) -> Seen:
        seen = Seen(self.command, self.path, {name.lower(): value for name, value in self.headers.items()}, body)
        self.server.seen.append(seen)
        return seen

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline(100).split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline(100)
        self.rfile.readline(100)
        return body

    def log_message(self, *_) -> None:
        pass


class ForwardProxy(http.server.ThreadingHTTPServer):
    """Serves until `stop`."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, answer: Answer | None = None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: list[Seen] = []
        self.answer = answer
        # `host:port` of a tunnel to where it goes, and how it is encrypted up to here.
        self.stands_for: dict[str, str] = {}
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, *_) -> None:
        """Clients that go away are expected here."""

    def stop(self) -> None:
        self.shutdown()
        self.server_close()
