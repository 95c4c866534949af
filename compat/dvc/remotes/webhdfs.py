"""What lies in HDFS, seen over WebHDFS past both tools."""

import urllib.parse

import requests


class Hdfs:
    def __init__(self, url: str, root: str, user: str):
        self.base, self.root, self.user = url.replace("webhdfs://", "http://") + "/webhdfs/v1", root, user

    def _ask(self, method: str, path: str, operation: str, content: bytes | None = None, **more) -> requests.Response:
        where = self.base + urllib.parse.quote(path)
        answer = requests.request(
            method, where, params={"op": operation, "user.name": self.user, **more}, allow_redirects=False, timeout=60
        )
        if answer.is_redirect:
            answer = requests.request(method, answer.headers["Location"], data=content, timeout=60)
        return answer

    def _path(self, key: str) -> str:
        return f"{self.root}/{key}".rstrip("/")

    def keys(self, below: str = "") -> dict[str, int]:
        below = below.rstrip("/")
        answer = self._ask("GET", self._path(below), "LISTSTATUS")
        if answer.status_code == 404:
            return {}
        answer.raise_for_status()
        found = {}
        for status in answer.json()["FileStatuses"]["FileStatus"]:
            key = f"{below}/{status['pathSuffix']}".lstrip("/")
            found |= self.keys(key) if status["type"] == "DIRECTORY" else {key: status["length"]}
        return found

    def read(self, key: str) -> bytes:
        answer = self._ask("GET", self._path(key), "OPEN")
        answer.raise_for_status()
        return answer.content

    def write(self, key: str, content: bytes) -> None:
        self._ask("PUT", self._path(key), "CREATE", content, overwrite="true").raise_for_status()

    def delete(self, key: str) -> None:
        self._ask("DELETE", self._path(key), "DELETE").raise_for_status()
