"""Behind HAProxy: who asks and by which name, prefixes, bodies that stream, and stops that nobody notices."""

import pathlib
import socket
import threading
import time

import pytest
import requests

from operations.certificates import Authority
from operations.proxy import Haproxy
from rest_api import Api
from servers import Server, free_port

NAME = "ml.example"


@pytest.fixture(autouse=True)
def only_ours(server_kind):
    if server_kind == "stock":
        pytest.skip("differs from stock: it neither logs clients so nor has /ready")


def config(port: int, servers: list[str], *, tls: pathlib.Path | None = None, more: str = "") -> str:
    listed = "\n".join(
        f"  server s{number} {server} check inter 200ms fall 1 rise 1" for number, server in enumerate(servers)
    )
    return f"""
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  option forwardfor
  option httpchk GET /ready
  option redispatch 1
  retries 3
  retry-on conn-failure
  http-reuse always
frontend in
  bind 127.0.0.1:{port} {f"ssl crt {tls}" if tls else ""}
  http-request set-header X-Forwarded-Proto %[ssl_fc,iif(https,http)]
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  http-request set-header X-Forwarded-Port %[dst_port]
  {more}
  default_backend all
backend all
{listed}
"""


def address(server: Server) -> str:
    return f"127.0.0.1:{server.port}"


def test_the_client_is_the_one_before_the_proxy(tmp_path):
    for trusted, expected in (([], "203.0.113.7"), (["--forwarded-allow-ips", ""], "127.0.0.1")):
        folder = tmp_path / expected
        port = free_port()
        with (
            Server("trackway", folder, "--log-level", "debug", *trusted) as server,
            Haproxy(folder / "proxy", config(port, [address(server)]), port),
        ):
            answer = requests.get(
                f"http://127.0.0.1:{port}/version", headers={"X-Forwarded-For": "1.1.1.1, 203.0.113.7"}, timeout=10
            )
            assert answer.status_code == 200
            lines = [line for line in server.log_text().splitlines() if "/version" in line]
            assert len(lines) == 1 and f"client={expected}" in lines[0], lines


def test_names_and_origins_are_those_of_the_client(tmp_path):
    authority = Authority(tmp_path / "pki")
    cert, key = authority.sign("proxy")
    (tmp_path / "proxy.pem").write_bytes(cert.read_bytes() + key.read_bytes())
    port = free_port()
    # The proxy puts its own name for the server there, as nginx does by default.
    more = "http-request set-header Host 127.0.0.1:5000"
    with (
        Server("trackway", tmp_path / "data", "--allowed-hosts", f"{NAME}:{port}") as server,
        Haproxy(tmp_path / "proxy", config(port, [address(server)], tls=tmp_path / "proxy.pem", more=more), port),
    ):
        url = f"https://127.0.0.1:{port}/api/2.0/mlflow/experiments/create"

        def create(name: str, host: str, origin: str | None) -> int:
            headers = {"Host": host} | ({"Origin": origin} if origin else {})
            return requests.post(url, json={"name": name}, headers=headers, verify=str(authority.path), timeout=10).status_code

        assert create("a", f"{NAME}:{port}", None) == 200
        assert create("b", f"{NAME}:{port}", f"https://{NAME}:{port}") == 200
        assert create("c", f"{NAME}:{port}", f"http://{NAME}:{port}") == 403
        assert create("d", f"{NAME}:{port}", "https://evil.com") == 403
        assert create("e", "evil.com", "https://evil.com") == 403


CLIENT = """
import os, mlflow
mlflow.set_tracking_uri(os.environ["TEST_URI"])
mlflow.set_experiment("behind a proxy")
with mlflow.start_run() as run:
    mlflow.log_metric("m", 1)
    mlflow.log_text("hello", "a.txt")
assert mlflow.artifacts.load_text(run.info.artifact_uri + "/a.txt") == "hello"
print("ALL WELL")
"""


def test_a_prefix(tmp_path, run_script):
    port = free_port()
    with Server("trackway", tmp_path / "data", "--static-prefix", "/ml/flow", probe="/ml/flow/health") as server:
        text = config(port, [address(server)]).replace("GET /ready", "GET /ml/flow/ready")
        with Haproxy(tmp_path / "proxy", text, port):
            url = f"http://127.0.0.1:{port}/ml/flow"
            (tmp_path / "client.py").write_text(CLIENT)
            assert "ALL WELL" in run_script(tmp_path / "client.py", TEST_URI=url)
            moved = requests.get(url, allow_redirects=False, timeout=10)
            # Relative to the browser's address, whatever stands before it.
            assert (moved.status_code, moved.headers["Location"]) == (308, "flow/")
            assert requests.get(url, timeout=10).url == url + "/"


def memory(server: Server) -> int:
    status = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) << 10


def test_bodies_stream_both_ways(tmp_path):
    size, block = 256 << 20, b"x" * (1 << 20)
    port = free_port()
    with (
        Server("trackway", tmp_path / "data") as server,
        Haproxy(tmp_path / "proxy", config(port, [address(server)]), port),
    ):
        url = f"http://127.0.0.1:{port}/api/2.0/mlflow-artifacts/artifacts/9/big.bin"
        assert requests.put(url, data=b"warm", timeout=30).status_code == 200
        before = memory(server)
        sent = (block for _ in range(size // len(block)))
        assert requests.put(url, data=sent, timeout=120).status_code == 200
        with requests.get(url, stream=True, timeout=120) as answer:
            assert sum(len(part) for part in answer.iter_content(1 << 20)) == size
        assert memory(server) - before < 20 << 20, "a body was held in memory"


def ask(port: int, head: str, body: bytes = b"", until: bytes = b"\r\n\r\n") -> tuple[socket.socket, bytes]:
    stream = socket.create_connection(("127.0.0.1", port), timeout=20)
    stream.sendall(head.replace("\n", "\r\n").encode() + body)
    seen = b""
    while until not in seen:
        part = stream.recv(4096)
        if not part:
            break
        seen += part
    return stream, seen


def test_100_continue(tmp_path):
    port = free_port()
    with (
        Server("trackway", tmp_path / "data") as server,
        Haproxy(tmp_path / "proxy", config(port, [address(server)]), port),
    ):
        body = b"y" * 200_000
        for to in (port, server.port):
            head = (
                "PUT /api/2.0/mlflow-artifacts/artifacts/9/{name} HTTP/1.1\nHost: localhost\nExpect: 100-continue\n"
                f"Content-Length: {len(body)}\n\n"
            )
            stream, seen = ask(to, head.format(name="a.bin"))
            assert seen.startswith(b"HTTP/1.1 100"), seen
            stream.sendall(body)
            assert stream.recv(4096).startswith(b"HTTP/1.1 200")
            # What is refused by its head is refused before the body is sent.
            _, seen = ask(to, head.format(name="..%2f..%2fb.bin"))
            assert seen.startswith(b"HTTP/1.1 400"), seen


def test_ready_while_it_drains(tmp_path):
    with Server("trackway", tmp_path / "data", "--drain", "3") as server:
        assert requests.get(server.url + "/ready", timeout=10).text == "OK"
        assert requests.get(server.url + "/ready", headers={"Host": "evil.com"}, timeout=10).text == "OK"
        server.process.terminate()
        wait_for(lambda: requests.get(server.url + "/ready", timeout=10).status_code == 503)
        answer = requests.get(server.url + "/health", timeout=10)
        assert (answer.text, answer.headers["Connection"]) == ("OK", "close")
        Api(server.url).post("experiments/create", {"name": "still served"}).ok()
        assert server.process.wait(30) == 0
        server.process = None


def wait_for(holds, seconds: float = 20):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it does not come about"
        time.sleep(0.05)


class Asker(threading.Thread):
    """Asks without a pause and without a second try."""

    def __init__(self, url: str):
        super().__init__(daemon=True)
        self.url = url
        self.stop = threading.Event()
        self.answered = 0
        self.wrong: list[str] = []

    def run(self):
        session = requests.Session()
        while not self.stop.is_set():
            try:
                answer = session.get(self.url + "/version", timeout=20)
                self.answered += 1
                if answer.status_code != 200:
                    self.wrong.append(f"{answer.status_code} {answer.text[:100]}")
            except requests.RequestException as error:
                self.wrong.append(repr(error))


def test_servers_are_replaced_one_after_the_other_and_nobody_notices(tmp_path):
    port = free_port()
    servers = [Server("trackway", tmp_path / f"data{number}", "--drain", "1") for number in range(2)]
    with (
        servers[0],
        servers[1],
        Haproxy(tmp_path / "proxy", config(port, [address(server) for server in servers]), port) as proxy,
    ):
        askers = [Asker(f"http://127.0.0.1:{port}") for _ in range(4)]
        for asker in askers:
            asker.start()
        for server in servers * 2:
            before = [asker.answered for asker in askers]
            wait_for(lambda: all(asker.answered > count + 20 for asker, count in zip(askers, before)))
            server.stop()
            server.start()
            # The other one must not stop before this one is asked again.
            wait_for(lambda: requests.get(server.url + "/ready", timeout=10).status_code == 200)
            time.sleep(1)
        for asker in askers:
            asker.stop.set()
            asker.join()
        assert [asker.wrong for asker in askers] == [[]] * 4, proxy.log_path.read_text(errors="replace")[-2000:]


def test_ready_tells_of_a_database_that_is_away(tmp_path, own_postgres):
    postgres = own_postgres("durable=yes")
    with Server("trackway", tmp_path / "data", "--backend-store-uri", postgres.database()) as server:
        assert requests.get(server.url + "/ready", timeout=10).text == "OK"
        postgres.tell("crash")
        wait_for(lambda: requests.get(server.url + "/ready", timeout=10).status_code == 503)
        assert requests.get(server.url + "/health", timeout=10).text == "OK"
        postgres.tell("restart")
        wait_for(lambda: requests.get(server.url + "/ready", timeout=10).status_code == 200)
