"""HTTPS without a proxy: as stock users write it, and with our own flags; clients with certificates; renewal."""

import signal
import socket
import ssl
import subprocess
import time

import pytest
import requests
from operations.certificates import Authority

from servers import Server, ServerFailed, trackway_binary

LOG_SOME_RUNS = """
import os, pathlib, mlflow
mlflow.set_tracking_uri(os.environ["TEST_URI"])
experiment = mlflow.set_experiment("over https")
with mlflow.start_run() as run:
    mlflow.log_param("p", 1)
    mlflow.log_metric("m", 0.5)
    mlflow.log_text("hello", "a/b.txt")
found = mlflow.get_run(run.info.run_id)
assert found.data.metrics == {"m": 0.5}, found
assert mlflow.artifacts.load_text(run.info.artifact_uri + "/a/b.txt") == "hello"
assert [f.path for f in mlflow.MlflowClient().list_artifacts(run.info.run_id)] == ["a"]
print("ALL WELL")
"""


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path / "pki")


@pytest.fixture
def script(tmp_path, run_script):
    """The real client in a process of its own, for it reads these variables once."""
    path = tmp_path / "client.py"
    path.write_text(LOG_SOME_RUNS)

    def run(server: Server, authority: Authority, **env: str) -> str:
        return run_script(
            path, TEST_URI=server.url, MLFLOW_TRACKING_SERVER_CERT_PATH=str(authority.path), **env
        )

    return run


def ours_only(server_kind: str):
    if server_kind == "stock":
        pytest.skip("differs from stock: flags of Trackway")


@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_as_stock_users_write_it(server_kind, tmp_path, authority, script, kind):
    cert, key = authority.sign("server", kind=kind, password="s3 cret")
    options = f"--ssl-keyfile {key} --ssl-certfile {cert} --ssl-keyfile-password 's3 cret'"
    with Server(
        server_kind, tmp_path / "data", "--uvicorn-opts", options, https={"verify": str(authority.path)}
    ) as server:
        assert "ALL WELL" in script(server, authority)
        with pytest.raises(requests.exceptions.SSLError):
            requests.get(server.url + "/health", timeout=5)
        assert "s3 cret" not in server.log_text()


def test_mutual_tls(server_kind, tmp_path, authority, script):
    cert, key = authority.sign("server")
    client_cert, client_key = authority.sign("client")
    (tmp_path / "client-both.pem").write_bytes(client_cert.read_bytes() + client_key.read_bytes())
    strangers = Authority(tmp_path / "strangers", "Strangers").sign("stranger")
    options = f"--ssl-keyfile={key} --ssl-certfile={cert} --ssl-ca-certs={authority.path} --ssl-cert-reqs=2"
    https = {"verify": str(authority.path), "cert": (str(client_cert), str(client_key))}
    with Server(server_kind, tmp_path / "data", "--uvicorn-opts", options, https=https) as server:
        assert "ALL WELL" in script(
            server, authority, MLFLOW_TRACKING_CLIENT_CERT_PATH=str(tmp_path / "client-both.pem")
        )
        for pair in (None, tuple(map(str, strangers))):
            # TLS 1.3 tells a client with its first read that it is not welcome.
            with pytest.raises((requests.exceptions.SSLError, requests.exceptions.ConnectionError)):
                requests.get(server.url + "/health", timeout=5, verify=str(authority.path), cert=pair)
        assert requests.get(server.url + "/health", timeout=5, **https).text == "OK"


def test_flags_of_our_own(server_kind, tmp_path, authority, script):
    ours_only(server_kind)
    cert, key = authority.sign("server", password="pass")
    client_cert, client_key = authority.sign("client")
    https = {"verify": str(authority.path), "cert": (str(client_cert), str(client_key))}
    flags = ["--tls-cert", cert, "--tls-key", key, "--tls-client-ca", authority.path]
    with Server(
        server_kind, tmp_path / "data", *map(str, flags), env={"TRACKWAY_TLS_KEY_PASSWORD": "pass"}, https=https
    ) as server:
        assert "https://127.0.0.1" in server.log_text()
        (tmp_path / "both.pem").write_bytes(client_cert.read_bytes() + client_key.read_bytes())
        assert "ALL WELL" in script(server, authority, MLFLOW_TRACKING_CLIENT_CERT_PATH=str(tmp_path / "both.pem"))
        figures = requests.get(server.url + "/metrics", timeout=5, **https).text
        ends = [line for line in figures.splitlines() if line.startswith("trackway_tls_certificate_ends_seconds ")]
        assert 29 < (float(ends[0].split()[1]) - time.time()) / 86400 < 31


def test_files_that_cannot_work_stop_the_start(server_kind, tmp_path, authority):
    ours_only(server_kind)
    cert, key = authority.sign("server")
    other_cert, other_key = authority.sign("other")
    _, sealed = authority.sign("sealed", password="right")
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("-----BEGIN CERTIFICATE-----\nnot base64\n-----END CERTIFICATE-----\n")
    legacy = tmp_path / "legacy.pem"
    legacy.write_text("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: DES-EDE3-CBC,00\n\nAA==\n-----END RSA PRIVATE KEY-----\n")
    for number, (pair, env, says) in enumerate(
        [
            ((cert, other_key), {}, "does not belong to the certificate"),
            ((cert, cert), {}, "holds no private key"),
            ((key, key), {}, "holds no certificate"),
            ((garbage, key), {}, "holds no certificate"),
            ((cert, tmp_path / "none.pem"), {}, "cannot be read"),
            ((cert, sealed), {}, "is under a password, and none is given"),
            ((cert, sealed), {"TRACKWAY_TLS_KEY_PASSWORD": "wrong"}, "does not open the TLS key"),
            ((cert, legacy), {"TRACKWAY_TLS_KEY_PASSWORD": "x"}, "openssl pkcs8 -topk8"),
        ]
    ):
        server = Server(
            "trackway", tmp_path / f"data{number}", "--tls-cert", str(pair[0]), "--tls-key", str(pair[1]), env=env
        )
        with pytest.raises(ServerFailed) as failed:
            server.start()
        assert says in str(failed.value), failed.value
        assert not (server.folder / "trackway.db").exists(), "nothing is made by a start that fails"
        for secret in env.values():
            assert f"'{secret}'" not in str(failed.value)


def test_a_certificate_that_is_out_of_date_is_told_at_the_start(server_kind, tmp_path, authority):
    ours_only(server_kind)
    cert, key = authority.sign("server", valid=(-30, -2))
    with Server("trackway", tmp_path / "data", "--tls-cert", str(cert), "--tls-key", str(key), https={"verify": False}) as server:
        assert "server.pem ended on" in server.log_text()
        with pytest.raises(requests.exceptions.SSLError):
            requests.get(server.url + "/health", timeout=5, verify=str(authority.path))
        # A renewed one is taken up without a restart.
        authority.sign("server")
        server.process.send_signal(signal.SIGHUP)
        assert eventually(lambda: requests.get(server.url + "/health", timeout=5, verify=str(authority.path)).ok)


def serial(server: Server, verify) -> int:
    from cryptography import x509

    host, port = "127.0.0.1", server.port
    context = ssl.create_default_context(cafile=verify)
    with socket.create_connection((host, port), timeout=10) as raw, context.wrap_socket(raw, server_hostname=host) as tls:
        return x509.load_der_x509_certificate(tls.getpeercert(binary_form=True)).serial_number


def eventually(holds, seconds: float = 30) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if holds():
                return True
        except (requests.RequestException, OSError):
            pass
        time.sleep(0.1)
    return False


def test_renewal_without_a_restart(server_kind, tmp_path, authority):
    ours_only(server_kind)
    cert, key = authority.sign("server")
    https = {"verify": str(authority.path)}
    with Server("trackway", tmp_path / "data", "--tls-cert", str(cert), "--tls-key", str(key), https=https) as server:
        with requests.Session() as session:
            assert session.get(server.url + "/health", timeout=5, **https).ok
            first = serial(server, authority.path)
            # Without a signal: the files are looked at every few seconds.
            authority.sign("server")
            assert eventually(lambda: serial(server, authority.path) != first)
            assert session.get(server.url + "/health", timeout=5, **https).ok, "an open connection goes on"
        second = serial(server, authority.path)
        # A pair that does not fit leaves the former in place, and is told.
        stranger, _ = authority.sign("stranger")
        cert.write_bytes(stranger.read_bytes())
        server.process.send_signal(signal.SIGHUP)
        assert eventually(lambda: "The changed certificate files are not used" in server.log_text())
        assert serial(server, authority.path) == second


def test_slow_and_wrong_clients_hold_up_nobody(server_kind, tmp_path, authority):
    ours_only(server_kind)
    cert, key = authority.sign("server")
    https = {"verify": str(authority.path)}
    with Server("trackway", tmp_path / "data", "--tls-cert", str(cert), "--tls-key", str(key), https=https) as server:
        silent = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(50)]
        for number, one in enumerate(silent):
            if number % 2:
                one.sendall(b"\x16\x03\x01")
        assert requests.get(server.url + "/health", timeout=5, **https).text == "OK"
        # Plain HTTP is answered in words, and once: a client that retries for minutes would help nobody.
        plain = requests.get(server.url.replace("https", "http") + "/health", timeout=5)
        assert plain.status_code == 400
        assert "https://" in plain.json()["message"]
        with socket.create_connection(("127.0.0.1", server.port)) as odd:
            odd.sendall(b"\x00" * 100)
            odd.settimeout(20)
            while odd.recv(1024):
                pass
        silent[0].settimeout(30)
        assert silent[0].recv(1) == b"", "a handshake has a deadline"
        for one in silent:
            one.close()


def test_only_tls_of_today_is_spoken(server_kind, tmp_path, authority):
    ours_only(server_kind)
    cert, key = authority.sign("server")
    https = {"verify": str(authority.path)}
    with Server("trackway", tmp_path / "data", "--tls-cert", str(cert), "--tls-key", str(key), https=https) as server:
        for version, works in (("-tls1_1", False), ("-tls1_2", True), ("-tls1_3", True)):
            done = subprocess.run(
                ["openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", version, "-alpn", "h2,http/1.1"],
                stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30,
            )  # fmt: skip
            assert ("Cipher is (NONE)" not in done.stdout and "Cipher is" in done.stdout) == works, done.stdout
            if works:
                assert "ALPN protocol: http/1.1" in done.stdout


def test_help_names_them():
    shown = subprocess.run([trackway_binary(), "server", "--help"], capture_output=True, text=True, timeout=30).stdout
    for flag in ("--tls-cert", "--tls-key", "--tls-client-ca", "--forwarded-allow-ips", "--drain"):
        assert flag in shown
