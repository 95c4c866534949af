"""A folder on a server of files seen past every tracking server: what really lies there. As buckets.py for buckets."""

import dataclasses
import pathlib
import posixpath
import urllib.parse
import xml.etree.ElementTree as xml

import requests
from services import Apache, Hdfs, Sshd

# Where a server is told to put artifacts: below a prefix, which must show in no answer.
PREFIX = "some/prefix/"


@dataclasses.dataclass
class Named:
    """What tests ask a bucket's store for."""

    name: str
    variables: dict[str, str]


class Folder:
    """`uri` is where a server is told to put artifacts, `store.variables` what it needs to get there."""

    uri: str
    store: Named

    def keys(self, below: str = "") -> dict[str, int]:
        """The size of every file whose path begins with the prefix and `below`, by what follows the prefix."""
        return {key.removeprefix(PREFIX): size for key, size in self._files() if key.startswith(PREFIX + below)}

    def everything(self) -> set[str]:
        return {key for key, _ in self._files()}

    def names(self, folder: str) -> list[str]:
        """What lies directly in a folder below the prefix, files and folders."""
        return sorted(name for name, *_ in self._level(PREFIX + folder))

    def read(self, key: str) -> bytes:
        raise NotImplementedError

    def write(self, key: str, content: bytes) -> None:
        raise NotImplementedError

    def _level(self, folder: str) -> list[tuple[str, bool, int]]:
        """Name, whether it is a folder, and size, of what lies directly in one."""
        raise NotImplementedError

    def _files(self, folder: str = "") -> list[tuple[str, int]]:
        found = []
        for name, is_folder, size in self._level(folder):
            path = posixpath.join(folder, name)
            found += self._files(path) if is_folder else [(path, size)]
        return found


class OnSshd(Folder):
    """Told by the key of ~/.ssh/config, and by nothing else."""

    def __init__(self, sshd: Sshd):
        url, self.path = sshd.folder()
        home = sshd.keys / "home"
        (home / ".ssh").mkdir(parents=True, exist_ok=True)
        known = f"IdentityFile {sshd.key}\nUserKnownHostsFile {sshd.keys / 'known_hosts'}\nStrictHostKeyChecking yes\n"
        (home / ".ssh/config").write_text(known)
        self.uri = f"{url.replace('ssh:', 'sftp:', 1)}/{PREFIX.rstrip('/')}"
        self.store = Named("sshd", {"HOME": str(home)})

    def read(self, key: str) -> bytes:
        return (self.path / PREFIX / key).read_bytes()

    def write(self, key: str, content: bytes) -> None:
        path: pathlib.Path = self.path / PREFIX / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def _level(self, folder: str) -> list[tuple[str, bool, int]]:
        return [(path.name, path.is_dir(), path.stat().st_size) for path in (self.path / folder).iterdir()]


class OnApache(Folder):
    """By WebDAV."""

    def __init__(self, apache: Apache):
        below = f"{apache.address}/dav/{apache.folder()}"
        self.url, self.login = f"http://{below}", (apache.user, apache.password)
        self.uri = f"webdav://{apache.user}:{apache.password}@{below}/{PREFIX.rstrip('/')}"
        self.store = Named("apache", {})

    def _ask(self, method: str, path: str, **more) -> requests.Response:
        url = f"{self.url}/{urllib.parse.quote(path)}"
        return requests.request(method, url, auth=self.login, timeout=30, **more)

    def read(self, key: str) -> bytes:
        answer = self._ask("GET", PREFIX + key)
        answer.raise_for_status()
        return answer.content

    def write(self, key: str, content: bytes) -> None:
        names = (PREFIX + key).split("/")
        for depth in range(1, len(names)):
            # 405 if it is there.
            self._ask("MKCOL", "/".join(names[:depth]) + "/")
        self._ask("PUT", PREFIX + key, data=content).raise_for_status()

    def _level(self, folder: str) -> list[tuple[str, bool, int]]:
        folder = f"{folder}/" if folder else ""
        answer = self._ask("PROPFIND", folder, headers={"Depth": "1"})
        answer.raise_for_status()
        own = urllib.parse.urlsplit(f"{self.url}/{folder}").path
        found = []
        for response in xml.fromstring(answer.content).iter("{DAV:}response"):
            path = urllib.parse.unquote(response.findtext("{DAV:}href"))
            if name := path.removeprefix(own).strip("/"):
                size = response.findtext(".//{DAV:}getcontentlength")
                found.append((name, response.find(".//{DAV:}collection") is not None, int(size or 0)))
        return found


class OnHdfs(Folder):
    """By the server's own protocol, and seen by WebHDFS."""

    def __init__(self, hdfs: Hdfs):
        self.path, self.web = hdfs.folder(), hdfs.web_url.replace("webhdfs:", "http:", 1)
        self.user = hdfs.variables["HADOOP_USER_NAME"]
        self.uri = f"{hdfs.url}{self.path}/{PREFIX.rstrip('/')}"
        self.store = Named("hdfs", {name: hdfs.variables[name] for name in ("HADOOP_CONF_DIR", "HADOOP_USER_NAME")})

    def _ask(self, method: str, path: str, op: str, **more) -> requests.Response:
        url = f"{self.web}/webhdfs/v1{urllib.parse.quote(f'{self.path}/{path}'.rstrip('/'))}"
        asked = {"op": op, "user.name": self.user, "overwrite": "true"}
        return requests.request(method, url, params=asked, timeout=30, **more)

    def read(self, key: str) -> bytes:
        answer = self._ask("GET", PREFIX + key, "OPEN")
        answer.raise_for_status()
        return answer.content

    def write(self, key: str, content: bytes) -> None:
        self._ask("PUT", PREFIX + key, "CREATE", data=content).raise_for_status()

    def _level(self, folder: str) -> list[tuple[str, bool, int]]:
        answer = self._ask("GET", folder, "LISTSTATUS")
        answer.raise_for_status()
        listed = answer.json()["FileStatuses"]["FileStatus"]
        return [(entry["pathSuffix"], entry["type"] == "DIRECTORY", entry["length"]) for entry in listed]
