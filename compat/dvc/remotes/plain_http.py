"""A web server that keeps files: GET, HEAD, PUT and POST, no listing, and a password or a header's token asked for."""

import base64
import hashlib
import http.server
import pathlib
import threading
import urllib.parse

USER, PASSWORD = "web-user", "web-password-2"
HEADER, TOKEN = "X-Token", "web-token-3"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = self._path()
        if not self._may():
            return self._answer(401, b"", {"WWW-Authenticate": 'Basic realm="files"'})
        if not path.is_file():
            return self._answer(404, b"There is no such file.")
        content = path.read_bytes()
        headers = {"ETag": f'"{hashlib.md5(content).hexdigest()}"', "Accept-Ranges": "bytes"}
        first, _, last = self.headers.get("Range", "").removeprefix("bytes=").partition("-")
        if first.isdecimal():
            start, end = int(first), min(int(last or len(content)), len(content) - 1)
            if start >= len(content):
                return self._answer(416, b"", {"Content-Range": f"bytes */{len(content)}"})
            headers["Content-Range"] = f"bytes {start}-{end}/{len(content)}"
            return self._answer(206, content[start : end + 1], headers)
        self._answer(200, content, headers)

    do_HEAD = do_GET

    def do_PUT(self) -> None:
        content = self._body()
        if content is None:
            # Cut: nothing is kept.
            self.close_connection = True
            return
        if not self._may():
            return self._answer(401, b"", {"WWW-Authenticate": 'Basic realm="files"'})
        path = self._path()
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{threading.get_ident()}.tmp")
        part.write_bytes(content)
        part.rename(path)
        self._answer(201, b"")

    do_POST = do_PUT

    def _path(self) -> pathlib.Path:
        return self.server.root / urllib.parse.unquote(urllib.parse.urlsplit(self.path).path).lstrip("/")

    def _may(self) -> bool:
        basic = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        return self.headers.get("Authorization") == basic or self.headers.get(HEADER) == TOKEN

    def _body(self) -> bytes | None:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            length = int(self.headers.get("Content-Length", 0))
            content = self.rfile.read(length)
            return content if len(content) == length else None
        content = b""
        while True:
            try:
                length = int(self.rfile.readline(100).split(b";")[0], 16)
            except ValueError:
                return None
            chunk = self.rfile.read(length)
            if len(chunk) != length or self.rfile.readline(100) != b"\r\n":
                return None
            if not chunk:
                return content
            content += chunk

    def _answer(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_) -> None:
        pass


class PlainHttp(http.server.ThreadingHTTPServer):
    """Serves until `stop`."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, root: pathlib.Path):
        super().__init__(("127.0.0.1", 0), Handler)
        self.root = root
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_) -> None:
        """Clients that go away are expected here."""

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    def stop(self) -> None:
        self.shutdown()
        self.server_close()
