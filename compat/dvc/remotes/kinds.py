"""The kinds of remotes: what `dvc remote` is told of each, and what really lies there, seen past both tools.

A new kind is a function that makes an empty place on a server, and a line in `KINDS`.
"""

import base64
import dataclasses
import pathlib
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable

from buckets import PREFIX, Bucket
from dvc.remotes import password_sshd, plain_http
from dvc.remotes.webhdfs import Hdfs


@dataclasses.dataclass
class Folder:
    """What lies in a folder that a server serves: for the stores that are one."""

    root: pathlib.Path

    def keys(self, below: str = "") -> dict[str, int]:
        files = (path for path in (self.root / below).rglob("*") if path.is_file())
        return {str(path.relative_to(self.root)): path.stat().st_size for path in files}

    def read(self, key: str) -> bytes:
        return (self.root / key).read_bytes()

    def write(self, key: str, content: bytes) -> None:
        # In place: it stays the server's, which may add to what is made here.
        for folder in reversed([folder for folder in (self.root / key).parents if not folder.exists()]):
            folder.mkdir()
            folder.chmod(0o777)
        with open(self.root / key, "r+b" if (self.root / key).exists() else "wb") as file:
            file.truncate()
            file.write(content)

    def delete(self, key: str) -> None:
        (self.root / key).unlink()


@dataclasses.dataclass
class Remote:
    """An empty place on a server, and how a remote in it is configured."""

    url: str
    # What there is, by keys below the URL.
    objects: Bucket | Folder
    # What git may have.
    options: dict[str, str]
    # What goes to config.local.
    private: dict[str, str] = dataclasses.field(default_factory=dict)
    # The same, with what a server does not accept.
    wrong: dict[str, str] = dataclasses.field(default_factory=dict)
    # A URL on the same server where there is nothing to be put: no such bucket.
    nowhere: str = ""
    # What must show nowhere.
    secrets: tuple[str, ...] = ()
    # Makes a folder in it, where stock cannot.
    make_folder: Callable[[str], None] = lambda _: None
    # Of the server: `127.0.0.1:8333`.
    address: str = ""

    def through(self, address: str) -> "Remote":
        """The same place by way of something that listens elsewhere."""
        host, _, port = address.rpartition(":")

        def moved(options: dict[str, str]) -> dict[str, str]:
            return {name: value.replace(self.address, address) for name, value in options.items()}

        assert self.address.startswith(host), "only the port differs"
        url = self.url.replace(self.address, address)
        return dataclasses.replace(self, url=url, options=moved(self.options), private=moved(self.private))

    def configure(self, repository, name: str, below: str) -> None:
        """Adds the remote `name` in the folder `below` of this place."""
        self.make_folder(below)
        repository.dvc("remote", "add", "-f", name, f"{self.url}/{below}")
        for option, value in self.options.items():
            repository.dvc("remote", "modify", name, option, value)
        self.log_in(repository, name, self.private)

    def log_in(self, repository, name: str, private: dict[str, str]) -> None:
        for option, value in private.items():
            repository.dvc("remote", "modify", "--local", name, option, value)


def s3(store) -> Remote:
    variables, bucket = store.variables, Bucket(store, store.bucket())
    secret = variables["AWS_SECRET_ACCESS_KEY"]
    return Remote(
        bucket.uri,
        bucket,
        options={"endpointurl": variables["AWS_ENDPOINT_URL"], "region": variables["AWS_REGION"]},
        private={"access_key_id": variables["AWS_ACCESS_KEY_ID"], "secret_access_key": secret},
        wrong={"secret_access_key": "wrong" + secret},
        # SeaweedFS makes a bucket that is not there when something is put into it.
        nowhere="" if store.name == "seaweedfs" else "s3://no-such-bucket/p",
        secrets=(secret,),
        address=variables["AWS_ENDPOINT_URL"].removeprefix("http://"),
    )


def azure(store) -> Remote:
    variables, bucket = store.variables, Bucket(store, store.bucket())
    told, key = variables["AZURE_STORAGE_CONNECTION_STRING"], variables["AZURE_STORAGE_ACCESS_KEY"]
    return Remote(
        f"azure://{bucket.name}/{PREFIX.rstrip('/')}",
        bucket,
        options={},
        private={"connection_string": told},
        wrong={"connection_string": told.replace(key, base64.b64encode(b"wrong" * 12).decode())},
        nowhere="azure://no-such-container/p",
        secrets=(key, urllib.parse.quote(key, safe="")),
        address=urllib.parse.urlsplit(variables["AZURE_STORAGE_ENDPOINT"]).netloc,
    )


def gs(store) -> Remote:
    bucket, endpoint = Bucket(store, store.bucket()), store.variables["STORAGE_EMULATOR_HOST"]
    return Remote(
        bucket.uri,
        bucket,
        options={"endpointurl": endpoint, "allow_anonymous_login": "true"},
        nowhere="gs://no-such-bucket/p",
        address=endpoint.removeprefix("http://"),
    )


def ssh(server) -> Remote:
    url, folder = server.folder()
    return Remote(
        url,
        Folder(folder),
        options={},
        private={"keyfile": str(server.key)},
        wrong={"keyfile": str(server.keys / "stranger")},
        address=f"127.0.0.1:{server.port}",
    )


def ssh_by_password(server) -> Remote:
    url, folder = server.folder()
    password = password_sshd.PASSWORD
    return Remote(
        url,
        Folder(folder),
        options={},
        private={"password": password},
        wrong={"password": f"wrong-{password}"},
        secrets=(password,),
        address=server.address,
    )


def webdav(server) -> Remote:
    name = server.folder()
    root = pathlib.Path(server.variables["APACHE_AUTHORITY"]).parent.parent / "dav" / name
    basic = base64.b64encode(f"{server.user}:{server.password}".encode()).decode()

    def make_folder(below: str) -> None:
        # Stock wants the folder of the URL to be there.
        if not (root / below).exists():
            url, told = f"http://{server.address}/dav/{name}/{below}/", {"Authorization": f"Basic {basic}"}
            urllib.request.urlopen(urllib.request.Request(url, method="MKCOL", headers=told)).close()

    return Remote(
        f"webdav://{server.address}/dav/{name}",
        Folder(root),
        options={"user": server.user},
        private={"password": server.password},
        wrong={"password": "wrong-" + server.password},
        nowhere=f"webdav://{server.address}/nowhere/p",
        # The password alone is too short a word to be looked for.
        secrets=(basic, f":{server.password}@"),
        make_folder=make_folder,
        address=server.address,
    )


def http(server) -> Remote:
    name = f"test-{uuid.uuid4().hex}"
    return Remote(
        f"http://{server.address}/{name}",
        Folder(server.root / name),
        options={"auth": "basic", "user": plain_http.USER},
        private={"password": plain_http.PASSWORD},
        wrong={"password": "wrong-" + plain_http.PASSWORD},
        secrets=(plain_http.PASSWORD, base64.b64encode(f"{plain_http.USER}:{plain_http.PASSWORD}".encode()).decode()),
        address=server.address,
    )


def webhdfs(hdfs) -> Remote:
    root, user = hdfs.folder(), hdfs.variables["HADOOP_USER_NAME"]
    return Remote(
        hdfs.web_url + root,
        Hdfs(hdfs.web_url, root, user),
        options={},
        private={"user": user},
        address=hdfs.web_url.removeprefix("webhdfs://"),
    )


def keep_versions(remote: Remote) -> None:
    """The bucket keeps versions from now on."""
    bucket = remote.objects
    if bucket.uri.startswith("s3:"):
        bucket.s3().put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration={"Status": "Enabled"})
        return
    asked = urllib.request.Request(
        f"{remote.options['endpointurl']}/storage/v1/b/{bucket.name}",
        method="PATCH",
        data=b'{"versioning": {"enabled": true}}',
        headers={"content-type": "application/json"},
    )
    urllib.request.urlopen(asked).close()


@dataclasses.dataclass
class Kind:
    # The fixture of its server.
    server: str
    remote: Callable[..., Remote]
    # HTTP has no listing: there is no `gc -c`.
    lists: bool = True
    # JuiceFS wants a checksum of a list of objects to delete, which stock does not send; HDFS's client takes no list.
    stock_deletes: bool = True
    # Of an object that is missing, WebDAV's and HDFS's clients leave no empty file behind, over which stock stumbles.
    stock_misses: bool = True
    # Only for tests that name it.
    on_demand: bool = False


KINDS = {
    "s3": Kind("seaweedfs", s3),
    "s3-rclone": Kind("rclone", s3),
    "s3-juicefs": Kind("juicefs", s3, stock_deletes=False),
    "azure": Kind("azurite", azure),
    "gs": Kind("fake_gcs", gs),
    "gs-versions": Kind("fake_gcs_with_versions", gs, on_demand=True),
    "ssh": Kind("sshd", ssh),
    "ssh-password": Kind("password_sshd", ssh_by_password),
    "ssh-keyboard": Kind("asking_sshd", ssh_by_password, on_demand=True),
    "webdav": Kind("apache", webdav, stock_misses=False),
    "webhdfs": Kind("hdfs", webhdfs, stock_deletes=False, stock_misses=False),
    "http": Kind("plain_http", http, lists=False),
}
