"""Artifact routes: the proxy that the client uploads through, the listings, and the raw routes of the web page."""

import io
import os

import pytest
from places import EVERYWHERE, USUAL

pytestmark = pytest.mark.places(*EVERYWHERE)

PROXY = "/api/2.0/mlflow-artifacts/artifacts/"


@pytest.fixture
def run_id(api):
    return api.run()


@pytest.fixture
def root(api, run_id):
    """Where the artifacts of the run lie below the proxy."""
    return api.get_run(run_id)["info"]["artifact_uri"].removeprefix("mlflow-artifacts:/").lstrip("/")


@pytest.fixture
def put(api, root):
    def put(path, content=b"content"):
        answer = api.call("PUT", f"{PROXY}{root}/{path}", data=content)
        assert answer.status == 200, answer
        return answer

    return put


def test_put_get_list_delete(api, root, put):
    put("dir/a.txt", b"hello")
    answer = api.get(f"{PROXY}{root}/dir/a.txt")
    assert answer.response.content == b"hello"
    listed = api.get(PROXY.rstrip("/"), {"path": f"{root}/dir"}).ok()
    assert listed == {"files": [{"path": "a.txt", "is_dir": False, "file_size": 5}]}
    listed = api.get(PROXY.rstrip("/"), {"path": root}).ok()
    assert listed == {"files": [{"path": "dir", "is_dir": True}]}
    assert api.call("DELETE", f"{PROXY}{root}/dir/a.txt").ok() == {}
    assert api.get(f"{PROXY}{root}/dir/a.txt").status == 404


def test_twin_prefix(api, root, put):
    put("a.txt", b"hello")
    assert api.get(f"{PROXY}{root}/a.txt".replace("/api/", "/ajax-api/")).text == "hello"


def test_what_is_not_there(api, root):
    assert api.get(PROXY.rstrip("/"), {"path": f"{root}/nothing"}).ok() == {}
    assert api.get(f"{PROXY}{root}/nothing").status == 404
    assert api.call("DELETE", f"{PROXY}{root}/nothing").ok() == {}


def test_a_folder_is_no_file(api, root, put):
    put("dir/a.txt")
    assert api.get(f"{PROXY}{root}/dir").status == 400
    assert api.get(PROXY.rstrip("/"), {"path": f"{root}/dir/a.txt"}).ok() == {}


# In a bucket a file may have the name of a folder.
@pytest.mark.places(*USUAL)
@pytest.mark.differs_from_stock("stock answers 500 to an upload onto a folder")
def test_upload_onto_a_folder(api, root, put):
    put("dir/a.txt")
    answer = api.call("PUT", f"{PROXY}{root}/dir", data=b"x")
    assert answer.status in (400, 409), answer
    answer = api.call("PUT", f"{PROXY}{root}/dir/a.txt/below", data=b"x")
    assert answer.status in (400, 409), answer
    assert api.get(f"{PROXY}{root}/dir/a.txt").text == "content"


def test_delete_a_folder(api, root, put, place):
    put("dir/a.txt")
    put("dir/sub/b.txt")
    put("other.txt")
    api.call("DELETE", f"{PROXY}{root}/dir").ok()
    listed = api.get(PROXY.rstrip("/"), {"path": root}).ok()
    # SeaweedFS goes on listing a folder that was emptied, for a while.
    left = [f["path"] for f in listed["files"] if place.name != "s3" or not f["is_dir"]]
    assert left == ["other.txt"]
    assert api.get(f"{PROXY}{root}/dir/a.txt").status == 404


def test_replace(api, root, put):
    put("a.txt", b"a longer first content")
    put("a.txt", b"second")
    assert api.get(f"{PROXY}{root}/a.txt").text == "second"


def test_empty_file(api, root, put):
    put("empty", b"")
    answer = api.get(f"{PROXY}{root}/empty")
    assert (answer.status, answer.response.content) == (200, b"")


def test_chunked_upload(api, root):
    block = os.urandom(1 << 16)
    api_answer = api.call("PUT", f"{PROXY}{root}/chunked.bin", data=(block for _ in range(40)))
    assert api_answer.status == 200
    assert api.get(f"{PROXY}{root}/chunked.bin").response.content == block * 40


def test_headers_of_a_download(api, root, put):
    put("page.html", b"<script>alert(1)</script>")
    headers = api.get(f"{PROXY}{root}/page.html").headers
    assert headers["Content-Disposition"].startswith("attachment")
    assert "page.html" in headers["Content-Disposition"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Length"] == "25"


@pytest.mark.parametrize(("name", "kind"), [("a.json", "text/plain"), ("a.csv", "text/plain"), ("a.yaml", "text/plain"), ("a.py", "text/plain"), ("a.png", "image/png"), ("a.html", "text/html"), ("a.txt", "text/plain"), ("MLmodel", "text/plain"), ("a.unknown-kind", "application/octet-stream")])
def test_kinds_of_content(api, run_id, put, name, kind):
    put(name)
    answer = api.get("/get-artifact", {"run_id": run_id, "path": name})
    assert answer.headers["Content-Type"].split(";")[0] == kind, answer


def test_names_beyond_ascii(api, root, put):
    put("Gr%C3%BC%C3%9Fe%20%E9%9B%AA.txt", b"x")
    answer = api.get(f"{PROXY}{root}/Gr%C3%BC%C3%9Fe%20%E9%9B%AA.txt")
    assert answer.text == "x"
    listed = api.get(PROXY.rstrip("/"), {"path": root}).ok()
    assert [f["path"] for f in listed["files"]] == ["Grüße 雪.txt"]


def test_ranges(api, root, put):
    put("r.bin", bytes(range(100)))
    path = f"{PROXY}{root}/r.bin"
    for asked, expected in (("bytes=0-9", range(10)), ("bytes=90-", range(90, 100)), ("bytes=-5", range(95, 100)), ("bytes=95-500", range(95, 100))):
        answer = api.call("GET", path, headers={"Range": asked})
        assert answer.status == 206, answer
        assert answer.response.content == bytes(expected)
        first, last = expected[0], expected[-1]
        assert answer.headers["Content-Range"] == f"bytes {first}-{last}/100"
    assert api.call("GET", path, headers={"Range": "bytes=200-300"}).status == 416


def test_etags(api, root, put):
    put("e.bin", b"one")
    path = f"{PROXY}{root}/e.bin"
    first = api.get(path)
    tag = first.headers["ETag"]
    assert api.call("GET", path, headers={"If-None-Match": tag}).status in (200, 304)
    put("e.bin", b"another")
    assert api.get(path).headers["ETag"] != tag


@pytest.mark.differs_from_stock("stock knows no conditional requests on this route")
def test_not_modified(api, root, put):
    put("e.bin", b"one")
    path = f"{PROXY}{root}/e.bin"
    tag = api.get(path).headers["ETag"]
    assert api.call("GET", path, headers={"If-None-Match": tag}).status == 304
    put("e.bin", b"another")
    assert api.call("GET", path, headers={"If-None-Match": tag}).status == 200


def test_list_of_a_run(api, run_id, root, put):
    uri = f"mlflow-artifacts:/{root}"
    assert api.get("artifacts/list", {"run_id": run_id}).ok() == {"root_uri": uri}
    put("b.txt", b"12")
    put("dir/a.txt", b"123")
    expected = [{"path": "b.txt", "is_dir": False, "file_size": 2}, {"path": "dir", "is_dir": True}]
    assert api.get("artifacts/list", {"run_id": run_id}).ok() == {"root_uri": uri, "files": expected}
    listed = api.get("artifacts/list", {"run_id": run_id, "path": "dir"}).ok()
    assert listed["files"] == [{"path": "dir/a.txt", "is_dir": False, "file_size": 3}]
    assert "files" not in api.get("artifacts/list", {"run_id": run_id, "path": "nothing"}).ok()
    api.get("artifacts/list", {"run_id": "0" * 32}).missing()


def test_get_artifact(api, run_id, put):
    put("dir/a.txt", b"raw")
    answer = api.get("/get-artifact", {"run_id": run_id, "path": "dir/a.txt"})
    assert answer.text == "raw"
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert api.get("/get-artifact", {"run_uuid": run_id, "path": "dir/a.txt"}).text == "raw"
    api.get("/get-artifact", {"run_id": "0" * 32, "path": "a"}).missing()


def test_upload_artifact(api, run_id, put):
    path = "/ajax-api/2.0/mlflow/upload-artifact"
    body = io.BytesIO(b"uploaded")
    assert api.call("POST", path, params={"run_uuid": run_id, "path": "up/x.txt"}, data=body).status == 200
    assert api.get("/get-artifact", {"run_id": run_id, "path": "up/x.txt"}).text == "uploaded"
    api.call("POST", path, params={"path": "x"}, data=b"x").refused()
    api.call("POST", path, params={"run_uuid": run_id}, data=b"x").refused()
    api.call("POST", path, params={"run_uuid": run_id, "path": "../x"}, data=b"x").refused()
    api.call("POST", path, params={"run_uuid": run_id, "path": "x.txt"}, data=b"").refused()


def test_artifact_of_a_version(api, run_id, root, put):
    put("model/MLmodel", b"flavors:")
    name = api.registered_model()
    api.version(name, source=f"mlflow-artifacts:/{root}/model", run_id=run_id)
    route = "/model-versions/get-artifact"
    assert api.get(route, {"name": name, "version": "1", "path": "MLmodel"}).text == "flavors:"
    assert api.get(route, {"name": name, "version": "9", "path": "MLmodel"}).status == 404
    for path in ("../../x", "/etc/passwd", "a/../../../b"):
        api.get(route, {"name": name, "version": "1", "path": path}).refused()


def test_artifacts_of_a_logged_model(api):
    experiment_id = api.experiment()
    info = api.post("logged-models", {"experiment_id": experiment_id, "name": "m"}).ok()["model"]["info"]
    model_id, below = info["model_id"], info["artifact_uri"].removeprefix("mlflow-artifacts:/")
    assert below == f"{experiment_id}/models/{model_id}/artifacts"
    api.call("PUT", f"{PROXY}{below}/MLmodel", data=b"flavors:")
    api.call("PUT", f"{PROXY}{below}/data/model.bin", data=b"123")
    listed = api.get(f"logged-models/{model_id}/artifacts/directories").ok()
    assert listed["root_uri"] == info["artifact_uri"]
    assert {f["path"] for f in listed["files"]} == {"MLmodel", "data"}
    listed = api.get(f"logged-models/{model_id}/artifacts/directories", {"artifact_directory_path": "data"}).ok()
    assert [f["path"] for f in listed["files"]] == ["data/model.bin"]
    route = f"/ajax-api/2.0/mlflow/logged-models/{model_id}/artifacts/files"
    assert api.get(route, {"artifact_file_path": "data/model.bin"}).response.content == b"123"
    for path in ("../x", "/etc/passwd"):
        api.get(route, {"artifact_file_path": path}).refused()
        api.get(f"logged-models/{model_id}/artifacts/directories", {"artifact_directory_path": path}).refused()


# The ways that ever led out of the folder on some server: each must be refused.
CLIMBING = [
    "..", "../", "../..", "../../../../../../etc/passwd", "a/../../../b", "./../x",
    "%2e%2e/%2e%2e/etc/passwd", "%2e%2e%2fetc%2fpasswd", "..%2f..%2fetc/passwd", "%252e%252e/%252e%252e/etc/passwd",
    "%252e%252e%252fetc%252fpasswd", "..%252f..%252fetc", "%25252e%25252e/x", ".%2e/x", "%2e./x", "a/%2e%2e/%2e%2e/b",
    "a%23b", "a%2523b",
]  # fmt: skip

# Absolute paths and NUL bytes below a folder.
ABSOLUTE = ["/etc/passwd", "//etc/passwd", "%2fetc%2fpasswd", "%252fetc%252fpasswd", "file:///etc/passwd", "a/..%00/x", "x%00.txt"]

# Odd names, which may be refused or stay inside.
ODD = ["C:/Windows/win.ini", "C:%5cWindows", "c%3a/x", "..;/x", "%c0%ae%c0%ae/x", "...", "a/.../b", "~/x", "~root", "-rf", "nul", "a:b", "%20"]


@pytest.mark.parametrize("path", CLIMBING)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_climbing_through_the_proxy(api, root, method, path):
    answer = api.raw(method, f"{PROXY}{root}/{path}", data=b"pwned" if method == "PUT" else None)
    assert 400 <= answer.status < 500, answer
    assert "root:" not in answer.text


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "%2fetc/passwd", "%252fetc/passwd", "C:/x", "C%3a/x", "..", "../x", "%2e%2e/x", "%252e%252e/x", "0/../../x", "%2e%2e%2fx", "#x/../y", "a%23b"],
)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_climbing_from_the_top(api, method, path):
    answer = api.raw(method, f"{PROXY}{path}", data=b"pwned" if method == "PUT" else None)
    assert 400 <= answer.status < 500 or (method == "DELETE" and answer.json == {}), answer
    assert "root:" not in answer.text


@pytest.mark.differs_from_stock("stock answers 500, or stores a name with a NUL byte cut off")
@pytest.mark.parametrize("path", ABSOLUTE)
def test_absolute_paths(api, root, path):
    answer = api.raw("PUT", f"{PROXY}{root}/{path}", data=b"pwned")
    assert 400 <= answer.status < 500, answer
    answer = api.raw("GET", f"{PROXY}{root}/{path}")
    assert 400 <= answer.status < 500, answer
    assert "root:" not in answer.text


@pytest.mark.parametrize("path", ODD)
def test_odd_names_stay_inside(api, root, path):
    answer = api.raw("PUT", f"{PROXY}{root}/{path}", data=b"inside")
    assert answer.status < 500, answer
    if answer.status == 200:
        assert api.raw("GET", f"{PROXY}{root}/{path}").text == "inside"


@pytest.mark.parametrize("path", [*CLIMBING, *ABSOLUTE])
def test_climbing_in_listings(api, run_id, path):
    for route, key in (("artifacts/list", "path"), ("/get-artifact", "path")):
        answer = api.raw("GET", f"{api.path(route)}?run_id={run_id}&{key}={path.replace('#', '%23')}")
        assert "root:" not in answer.text
        assert answer.status < 500, answer
        if route == "/get-artifact":
            assert answer.status >= 400, answer
        elif answer.status == 200:
            assert "files" not in answer.json, answer
    answer = api.raw("GET", f"{PROXY.rstrip('/')}?path={path.replace('#', '%23')}")
    assert answer.status < 500, answer
    if answer.status == 200:
        assert answer.json == {}, answer


@pytest.mark.places("sqlite")
def test_nothing_lies_outside(server):
    """After all that: next to the artifact folder there is what was there before."""
    if not server.log_path.exists():
        pytest.skip("the server was not started by these tests, so its folder is not known")
    known = {"mlartifacts", "mlflow.db", "mlflow.db-shm", "mlflow.db-wal", "trackway.db", "trackway.db-shm", "trackway.db-wal", "server.log", "mlruns"}
    found = {entry.name for entry in server.folder.iterdir()}
    assert found <= known, found - known
    assert not any("pwned" == entry.read_text(errors="ignore") for entry in server.folder.parent.iterdir() if entry.is_file())


@pytest.mark.parametrize(
    "location",
    ["s3://b/x#y", "hdfs://host/x", "ftp://host/x", "http://127.0.0.1/x", "mlflow-artifacts://other-host/x", "s3://b/x?y=../z", "s3://b/" + "x" * 2100],
)
def test_locations_of_experiments(api, unique, location):
    api.post("experiments/create", {"name": unique("place"), "artifact_location": location}).refused()


@pytest.mark.differs_from_stock("stock accepts some locations that leave their root")
@pytest.mark.parametrize("location", ["mlflow-artifacts:/../x", "mlflow-artifacts:/%2e%2e/x", "s3://b/../x", "file:///a/../../etc"])
def test_locations_that_climb(api, unique, location):
    api.post("experiments/create", {"name": unique("place"), "artifact_location": location}).refused()


@pytest.mark.places("sqlite")
def test_symlinks_that_lead_out(api, run_id, root, server, put):
    """A link that someone put into the folder must not be followed to the outside."""
    if not server.log_path.exists():
        pytest.skip("the server was not started by these tests, so its folder is not known")
    put("real.txt")
    folder = server.folder / "mlartifacts" / root
    secret = server.folder.parent / "secret.txt"
    secret.write_text("root: secret")
    (folder / "link.txt").symlink_to(secret)
    (folder / "out").symlink_to(server.folder.parent)
    try:
        for path in ("link.txt", "out/secret.txt"):
            answer = api.get(f"{PROXY}{root}/{path}")
            assert answer.status >= 400 and "secret" not in answer.text, answer
            answer = api.get("/get-artifact", {"run_id": run_id, "path": path})
            assert answer.status >= 400 and "root:" not in answer.text, answer
        api.call("PUT", f"{PROXY}{root}/out/planted.txt", data=b"x")
        assert not (server.folder.parent / "planted.txt").exists()
    finally:
        (folder / "link.txt").unlink()
        (folder / "out").unlink()


def test_a_broken_upload_leaves_nothing(api, server, root, put):
    """The sender goes away in the middle: no half file, no file of that name, no rubbish in the folder."""
    import socket
    import time
    import urllib.parse

    put("other.txt")
    host = urllib.parse.urlsplit(server.url)
    with socket.create_connection((host.hostname, host.port), timeout=10) as connection:
        connection.sendall(
            f"PUT {PROXY}{root}/half.bin HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000000\r\n\r\n".encode() + b"x" * 300_000
        )
        time.sleep(0.3)
    time.sleep(0.5)
    assert api.get(f"{PROXY}{root}/half.bin").status == 404
    listed = api.get(PROXY.rstrip("/"), {"path": root}).ok()
    assert [f["path"] for f in listed["files"]] == ["other.txt"]
