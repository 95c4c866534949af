"""Large files: the client of 3.17 sends parts to the store itself, by addresses that the server signs, and fetches ranges."""

import hashlib
import pathlib
import urllib.parse

import mlflow
import pytest
import requests
from mlflow.store.artifact import http_artifact_repo
from mlflow.store.artifact.http_artifact_repo import HttpArtifactRepository
from places import SERVERS, STORES

pytestmark = pytest.mark.places(*STORES)

MIB = 1 << 20
# The smallest part that S3 takes, but for the last.
PART = 5 * MIB
# Three parts, the last one short.
SIZE = 2 * PART + 12_345

CREATE, COMPLETE, ABORT, PRESIGNED, PROXY = (
    f"/api/2.0/mlflow-artifacts/{verb}/" for verb in ("mpu/create", "mpu/complete", "mpu/abort", "presigned", "artifacts")
)


def content(size: int = SIZE, seed: str = "") -> bytes:
    return hashlib.shake_256(seed.encode()).digest(size)


@pytest.fixture
def run(client, unique):
    return client.create_run(client.create_experiment(unique("large")))


@pytest.fixture
def root(run) -> str:
    return f"{run.info.experiment_id}/{run.info.run_id}/artifacts/"


# S3 can always sign, Azure with the account's key; Google only with a key of a service account, which a fake has not.
SIGNING = pytest.mark.places("s3", "azure")
# Stock says that it can sign for Google, and then answers 500.
OURS = pytest.mark.differs_from_stock("stock says that it can sign for Google without a key of a service account")


@pytest.fixture
def capable(api):
    """What the server says of itself, which is all that the client goes by."""
    info = api.get("/api/3.0/mlflow/server-info").ok()
    assert info["multipart_uploads_enabled"] in (True, False)
    assert info["multipart_downloads_enabled"] in (True, False)
    return info


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setenv("MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE", str(6 * MIB))
    monkeypatch.setenv("MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE", str(PART))
    monkeypatch.setenv("MLFLOW_MULTIPART_DOWNLOAD_CHUNK_SIZE", str(2 * MIB))


@pytest.fixture
def sent(monkeypatch) -> list[int]:
    """The numbers of the parts that the client has sent to the store."""
    parts: list[int] = []
    send = HttpArtifactRepository._upload_part

    def sending(credential, local_file, size, start_byte):
        part = send(credential, local_file, size, start_byte)
        parts.append(part.part_number)
        return part

    monkeypatch.setattr(HttpArtifactRepository, "_upload_part", staticmethod(sending))
    return parts


@pytest.fixture
def fetched(monkeypatch) -> list[tuple[int, int]]:
    """The ranges that the client has fetched from the store."""
    ranges: list[tuple[int, int]] = []
    fetch = http_artifact_repo.download_chunk

    def fetching(*, range_start, range_end, **others):
        ranges.append((range_start, range_end))
        return fetch(range_start=range_start, range_end=range_end, **others)

    monkeypatch.setattr(http_artifact_repo, "download_chunk", fetching)
    return ranges


@pytest.mark.places("s3", "azure", pytest.param("gcs", marks=OURS))
def test_upload_and_download(client, run, root, bucket, capable, small_parts, sent, fetched, tmp_path):
    (tmp_path / "big.bin").write_bytes(content())
    (tmp_path / "small.bin").write_bytes(b"small")
    client.log_artifact(run.info.run_id, str(tmp_path / "big.bin"), "sub dir")
    client.log_artifact(run.info.run_id, str(tmp_path / "small.bin"), "sub dir")
    assert sorted(sent) == ([1, 2, 3] if capable["multipart_uploads_enabled"] else [])
    assert bucket.keys(root) == {f"{root}sub dir/big.bin": SIZE, f"{root}sub dir/small.bin": 5}
    assert bucket.read(f"{root}sub dir/big.bin") == content()
    listed = [(f.path, f.file_size) for f in client.list_artifacts(run.info.run_id, "sub dir")]
    assert listed == [("sub dir/big.bin", SIZE), ("sub dir/small.bin", 5)]

    (tmp_path / "down").mkdir()
    got = pathlib.Path(client.download_artifacts(run.info.run_id, "sub dir", str(tmp_path / "down")))
    assert (got / "big.bin").read_bytes() == content()
    assert (got / "small.bin").read_bytes() == b"small"
    if capable["multipart_downloads_enabled"]:
        assert len(fetched) == SIZE // (2 * MIB) + 1 + 1, fetched
    else:
        assert fetched == []


@SIGNING
def test_the_server_offers_it(capable, place):
    assert capable["multipart_uploads_enabled"] is True
    assert capable["multipart_downloads_enabled"] is True or place.name != "s3"


@pytest.mark.places("gcs")
@OURS
def test_the_server_does_not_offer_what_it_cannot_do(api, root, capable):
    assert (capable["multipart_uploads_enabled"], capable["multipart_downloads_enabled"]) == (False, False)
    answer = api.post(f"{CREATE}{root}sub", {"path": "x", "num_parts": 1})
    assert (answer.status, answer.error_code) == (501, "NOT_IMPLEMENTED"), answer


def test_everything_that_is_offered_can_be_fetched(client, run, capable, small_parts, tmp_path):
    """The client asks for a signed address for every file, however small, and fails if it gets none."""
    (tmp_path / "up/deep").mkdir(parents=True)
    names = {"empty": b"", "deep/one": b"1", "with space & 100%.txt": b"x", "Grüße 雪.txt": b"y", "quote'\".txt": b"z"}
    for name, text in names.items():
        (tmp_path / "up" / name).write_bytes(text)
    client.log_artifacts(run.info.run_id, str(tmp_path / "up"), "all")
    (tmp_path / "down").mkdir()
    got = pathlib.Path(client.download_artifacts(run.info.run_id, "all", str(tmp_path / "down")))
    assert {str(p.relative_to(got)): p.read_bytes() for p in got.rglob("*") if p.is_file()} == names


@pytest.mark.places("s3", "azure", pytest.param("gcs", marks=OURS))
def test_a_replaced_file_is_the_new_one(client, run, root, bucket, small_parts, tmp_path):
    (tmp_path / "big.bin").write_bytes(content(SIZE + 7, "first"))
    client.log_artifact(run.info.run_id, str(tmp_path / "big.bin"))
    (tmp_path / "big.bin").write_bytes(content(SIZE, "second"))
    client.log_artifact(run.info.run_id, str(tmp_path / "big.bin"))
    assert bucket.keys(root) == {f"{root}big.bin": SIZE}
    assert [(f.path, f.file_size) for f in client.list_artifacts(run.info.run_id)] == [("big.bin", SIZE)]
    got = mlflow.artifacts.download_artifacts(f"runs:/{run.info.run_id}/big.bin", dst_path=str(tmp_path / "down"))
    assert pathlib.Path(got).read_bytes() == content(SIZE, "second")
@SIGNING
def test_a_part_that_fails(client, run, root, bucket, small_parts, monkeypatch, tmp_path):
    """The client aborts: nothing is listed, nothing can be fetched, nothing lies about."""
    send = HttpArtifactRepository._upload_part

    def failing(credential, local_file, size, start_byte):
        if credential.part_number == 2:
            raise OSError("the cable was pulled")
        return send(credential, local_file, size, start_byte)

    monkeypatch.setattr(HttpArtifactRepository, "_upload_part", staticmethod(failing))
    (tmp_path / "big.bin").write_bytes(content())
    with pytest.raises(Exception, match="at least one part"):
        client.log_artifact(run.info.run_id, str(tmp_path / "big.bin"))
    assert bucket.keys(root) == {}
    assert client.list_artifacts(run.info.run_id) == []
    if bucket.store.name == "seaweedfs":
        assert not [key for key in bucket.unfinished() if root in key]


@pytest.fixture
def begin(api, root):
    def begin(parts: int, name: str = "big.bin"):
        body = {"path": f"/home/someone/{name}", "num_parts": parts}
        begun = api.post(f"{CREATE}{root}sub", body).ok()
        assert [c["part_number"] for c in begun["credentials"]] == list(range(1, parts + 1))
        return begun

    return begin


def send(begun, *blocks: bytes) -> list[dict]:
    parts = []
    for credential, block in zip(begun["credentials"], blocks, strict=True):
        answer = requests.put(credential["url"], data=block, headers=credential.get("headers"), timeout=30)
        assert answer.status_code in (200, 201), answer.text
        parts.append({"part_number": credential["part_number"], "etag": answer.headers.get("ETag", ""), "url": credential["url"]})
    return parts
@SIGNING
def test_step_by_step(api, root, bucket, begin):
    begun = begin(2)
    parts = send(begun, content(PART, "1"), content(99, "2"))
    done = {"path": "/home/someone/big.bin", "upload_id": begun.get("upload_id"), "parts": parts}
    # Nothing is there until all of it is.
    assert bucket.keys(root) == {}
    assert api.get(f"{PROXY}{root}sub/big.bin").status in (404, 500)
    assert api.get(PROXY.rstrip("/"), {"path": f"{root}sub"}).ok() == {}
    assert api.post(f"{COMPLETE}{root}sub", done).ok() == {}
    assert bucket.read(f"{root}sub/big.bin") == content(PART, "1") + content(99, "2")
    expected = {"files": [{"path": "big.bin", "is_dir": False, "file_size": PART + 99}]}
    assert api.get(PROXY.rstrip("/"), {"path": f"{root}sub"}).ok() == expected
    # A client that did not hear the answer says it again.
    assert api.post(f"{COMPLETE}{root}sub", done).ok() == {}
    assert api.get(f"{PROXY}{root}sub/big.bin").response.content == content(PART, "1") + content(99, "2")
@SIGNING
def test_two_at_a_time(api, root, bucket, begin):
    """Of two uploads to one name, the one that is completed last counts, whole."""
    one, two = begin(2), begin(2)
    first, second = send(one, content(PART, "a"), b"a"), send(two, content(PART, "b"), b"bb")
    if bucket.store.name == "azurite":
        # The ids of Azure's blocks are the same for both: what a block holds is what was sent last.
        second = send(two, content(PART, "b"), b"bb")
    for begun, parts in ((one, first), (two, second)):
        body = {"path": "big.bin", "upload_id": begun.get("upload_id"), "parts": parts}
        answer = api.post(f"{COMPLETE}{root}sub", body)
        assert answer.status < 500, answer
    assert bucket.read(f"{root}sub/big.bin") in (content(PART, "a") + b"a", content(PART, "b") + b"bb")
@SIGNING
def test_abort(api, root, bucket, begin):
    begun = begin(2)
    send({"credentials": begun["credentials"][:1]}, content(PART))
    body = {"path": "big.bin", "upload_id": begun.get("upload_id")}
    assert api.post(f"{ABORT}{root}sub", body).ok() == {}
    assert bucket.keys(root) == {}
    assert api.get(PROXY.rstrip("/"), {"path": root.rstrip("/")}).ok() == {}
    if bucket.store.name == "seaweedfs":
        assert not [key for key in bucket.unfinished() if root in key]
@SIGNING
def test_an_abort_leaves_what_was_there(api, root, bucket, begin):
    api.call("PUT", f"{PROXY}{root}sub/big.bin", data=b"older")
    begun = begin(1)
    send(begun, b"never completed")
    api.post(f"{ABORT}{root}sub", {"path": "big.bin", "upload_id": begun.get("upload_id")}).ok()
    assert bucket.read(f"{root}sub/big.bin") == b"older"
    assert api.get(f"{PROXY}{root}sub/big.bin").text == "older"
@SIGNING
def test_an_address_is_good_for_its_part_alone(root, bucket, begin):
    """Who was given an address for a part can neither read nor write anything else by it."""
    begun = begin(1)
    url = begun["credentials"][0]["url"]
    assert requests.put(url.replace("big.bin", "other.bin"), data=b"x", timeout=30).status_code in (400, 403, 404)
    assert requests.delete(url, timeout=30).status_code in (400, 403, 404, 405)
    assert bucket.keys(root) == {}


@SIGNING
@pytest.mark.differs_from_stock("stock takes any number of parts, and answers 500 to what is wrong")
def test_what_is_refused(api, root, begin):
    begin(1)
    for parts in (0, -1, 10_001, "x"):
        api.post(f"{CREATE}{root}sub", {"path": "big.bin", "num_parts": parts}).refused()
    api.post(f"{CREATE}{root}sub", {"num_parts": 1}).refused(400, "INVALID_PARAMETER_VALUE", "path")
    api.post(f"{COMPLETE}{root}sub", {"path": "big.bin", "upload_id": "x"}).refused(400, "INVALID_PARAMETER_VALUE", "parts")
    part = {"part_number": 1, "etag": '"0123456789abcdef0123456789abcdef"', "url": "http://127.0.0.1/big.bin?blockid=AAAA"}
    answer = api.post(f"{COMPLETE}{root}sub", {"path": "big.bin", "upload_id": "no-such-upload", "parts": [part]})
    assert 400 <= answer.status < 500 and answer.message, answer
    answer = api.post(f"{COMPLETE}{root}sub", {"path": "big.bin", "upload_id": "no-such-upload", "parts": []})
    assert 400 <= answer.status < 500 and answer.message, answer
    assert api.post(f"{ABORT}{root}sub", {"path": "big.bin", "upload_id": "no-such-upload"}).status < 500


@SIGNING
@pytest.mark.differs_from_stock("stock answers 500")
def test_a_part_that_is_missing(api, root, bucket, begin):
    begun = begin(2)
    parts = send({"credentials": begun["credentials"][:1]}, content(PART))
    parts.append({"part_number": 2, "etag": parts[0]["etag"], "url": begun["credentials"][1]["url"]})
    answer = api.post(f"{COMPLETE}{root}sub", {"path": "big.bin", "upload_id": begun.get("upload_id"), "parts": parts})
    assert 400 <= answer.status < 500, answer
    assert bucket.keys(root) == {}
    assert api.get(PROXY.rstrip("/"), {"path": f"{root}sub"}).ok() == {}


@SIGNING
@pytest.mark.parametrize("path", ["../../../../x/evil.bin", "/etc/evil.bin", "a/../../evil.bin"])
def test_only_the_last_name_of_a_path_counts(api, root, begin, path):
    """The client sends the whole path of its own disk."""
    begin(1)
    begun = api.post(f"{CREATE}{root}sub", {"path": path, "num_parts": 1})
    if begun.status == 200:
        assert f"/{root}sub/evil.bin" in urllib.parse.unquote(begun.json["credentials"][0]["url"])
    else:
        begun.refused()


@SIGNING
@pytest.mark.parametrize("below", ["..", "%2e%2e", "a/../../..", "%252e%252e"])
def test_climbing(api, root, begin, below):
    begin(1)
    for verb in (CREATE, COMPLETE, ABORT):
        answer = api.raw("POST", f"{verb}{root}{below}/x", json={"path": "x", "num_parts": 1, "upload_id": "x", "parts": []})
        assert 400 <= answer.status < 500, answer
    answer = api.raw("GET", f"{PRESIGNED}{root}{below}/x")
    assert 400 <= answer.status < 500, answer


def test_presigned(api, root, capable):
    """The address alone is enough, gives ranges, and makes a browser save instead of show."""
    if not capable["multipart_downloads_enabled"]:
        answer = api.get(f"{PRESIGNED}{root}a.html")
        assert (answer.status, answer.error_code) == (501, "NOT_IMPLEMENTED"), answer
        return
    for name in ("a.html", "Grüße 雪.txt", "quote'\".txt", "with space & 100%25.txt"):
        path = urllib.parse.quote(root + name)
        api.call("PUT", PROXY + path, data=b"0123456789")
        answer = api.get(PRESIGNED + path).ok()
        assert answer["file_size"] == 10
        assert answer["headers"] == {} or isinstance(answer["headers"], dict)
        got = requests.get(answer["url"], headers={"Range": "bytes=2-4", **answer["headers"]}, timeout=30)
        assert (got.status_code, got.content) == (206, b"234"), got.text
        assert got.headers["Content-Disposition"].startswith("attachment"), got.headers
        assert requests.get(answer["url"].replace("a.html", "b.html"), timeout=30).status_code != 200 or "a.html" not in answer["url"]
        assert requests.put(answer["url"], data=b"x", timeout=30).status_code >= 400
    api.get(f"{PRESIGNED}{root}nothing").missing()


@pytest.mark.places("s3")
def test_presigned_is_for_files(api, root):
    api.call("PUT", f"{PROXY}{root}folder/file", data=b"x")
    api.get(f"{PRESIGNED}{root}folder").missing()


@pytest.mark.places("sqlite", *SERVERS)
def test_a_folder_of_the_server_has_none(api, client, run, root, small_parts, sent, fetched, monkeypatch, tmp_path):
    """The client that insists is told so in words that it knows, and goes through the server."""
    info = api.get("/api/3.0/mlflow/server-info").ok()
    assert (info["multipart_uploads_enabled"], info["multipart_downloads_enabled"]) == (False, False)
    monkeypatch.setenv("MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD", "true")
    monkeypatch.setenv("MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD", "true")
    (tmp_path / "big.bin").write_bytes(content())
    client.log_artifact(run.info.run_id, str(tmp_path / "big.bin"))
    got = mlflow.artifacts.download_artifacts(f"runs:/{run.info.run_id}/big.bin", dst_path=str(tmp_path / "down"))
    assert pathlib.Path(got).read_bytes() == content()
    assert (sent, fetched) == ([], [])
    answer = api.post(f"{CREATE}{root}sub", {"path": "x", "num_parts": 1})
    assert (answer.status, answer.error_code) == (501, "NOT_IMPLEMENTED"), answer
    assert answer.message.startswith("Multipart upload is not supported for the current artifact repository")
    answer = api.get(f"{PRESIGNED}{root}big.bin")
    assert (answer.status, answer.error_code) == (501, "NOT_IMPLEMENTED"), answer
