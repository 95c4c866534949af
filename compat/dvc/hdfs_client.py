"""What lies in HDFS, seen and changed by the Python package `hdfs-native`: run by its own Python, told by JSON."""

import base64
import json
import sys

from hdfs_native import Client, WriteOptions

told = json.load(sys.stdin)
client = Client(told["url"])
root = told["root"]


def written(key: str, content: str) -> None:
    with client.create(f"{root}/{key}", WriteOptions(overwrite=True, create_parent=True)) as file:
        file.write(base64.b64decode(content))


for key, content in told.get("write", {}).items():
    written(key, content)
found = {}
if told.get("read"):
    for status in client.list_status(root, recursive=True):
        if not status.isdir:
            with client.read(status.path) as file:
                found[status.path.removeprefix(root + "/")] = base64.b64encode(file.read()).decode()
print(json.dumps(found))
