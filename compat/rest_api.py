"""A thin REST caller: says what was sent and what came back when an answer is not the expected one."""

import json
import uuid

import requests


class Answer:
    def __init__(self, method: str, path: str, sent, response: requests.Response):
        self.request = f"{method} {path} {sent}"
        self.response = response
        self.status = response.status_code
        self.headers = response.headers
        self.text = response.text

    @property
    def json(self):
        try:
            return json.loads(self.text)
        except ValueError:
            raise AssertionError(f"{self} is not JSON") from None

    @property
    def error_code(self) -> str | None:
        body = self.json
        return body.get("error_code") if isinstance(body, dict) else None

    @property
    def message(self) -> str:
        return self.json.get("message", "")

    def ok(self):
        """The decoded body of a 200; anything else fails."""
        assert self.status == 200, f"expected 200, got {self}"
        return self.json

    def refused(self, status: int = 400, error_code: str | None = "INVALID_PARAMETER_VALUE", *parts: str) -> "Answer":
        """Asserts a proper error: this status, this code, and every one of `parts` in the message."""
        assert self.status == status, f"expected {status}, got {self}"
        if error_code is not None:
            assert self.error_code == error_code, f"expected {error_code}, got {self}"
        for part in parts:
            assert part in self.message, f"expected {part!r} in the message of {self}"
        assert self.message, f"an error without a message: {self}"
        return self

    def missing(self, *parts: str) -> "Answer":
        return self.refused(404, "RESOURCE_DOES_NOT_EXIST", *parts)

    def __repr__(self) -> str:
        return f"{self.request[:600]} -> {self.status} {self.text[:800]}"


class Api:
    """Calls under `/api/2.0/mlflow/` by short name: `api.post("runs/create", {...})`."""

    def __init__(self, url: str, prefix: str = "/api/2.0/mlflow/"):
        self.url = url
        self.prefix = prefix
        self.session = requests.Session()
        self.session.trust_env = False

    def path(self, route: str) -> str:
        return route if route.startswith("/") else self.prefix + route

    def call(self, method: str, route: str, *, timeout: float = 30, **kwargs) -> Answer:
        path = self.path(route)
        response = self.session.request(method, self.url + path, timeout=timeout, **kwargs)
        sent = kwargs.get("json", kwargs.get("params", kwargs.get("data", "")))
        return Answer(method, path, str(sent)[:500], response)

    def raw(self, method: str, path: str, **kwargs) -> Answer:
        """Sends the path byte for byte: `requests` would resolve `..` and normalise percent-encoding."""
        request = requests.Request(method, self.url + "/", **kwargs)
        prepared = self.session.prepare_request(request)
        prepared.url = self.url + path
        return Answer(method, path, "", self.session.send(prepared, timeout=30))

    def get(self, route: str, params=None, **kwargs) -> Answer:
        return self.call("GET", route, params=params, **kwargs)

    def post(self, route: str, body=None, **kwargs) -> Answer:
        return self.call("POST", route, json=body if body is not None else {}, **kwargs)

    def patch(self, route: str, body=None, **kwargs) -> Answer:
        return self.call("PATCH", route, json=body if body is not None else {}, **kwargs)

    def delete(self, route: str, body=None, **kwargs) -> Answer:
        return self.call("DELETE", route, json=body if body is not None else {}, **kwargs)

    def post_text(self, route: str, text: str | bytes, content_type: str | None = "application/json") -> Answer:
        headers = {"Content-Type": content_type} if content_type else {}
        return self.call("POST", route, data=text, headers=headers)

    # Short ways to a state, for tests whose subject is something else.

    def experiment(self, name: str | None = None, **fields) -> str:
        name = name or f"experiment {uuid.uuid4().hex[:12]}"
        return self.post("experiments/create", {"name": name, **fields}).ok()["experiment_id"]

    def run(self, experiment_id: str | None = None, **fields) -> str:
        body = {"experiment_id": experiment_id or self.experiment(), "start_time": 1, **fields}
        return self.post("runs/create", body).ok()["run"]["info"]["run_id"]

    def get_run(self, run_id: str) -> dict:
        return self.get("runs/get", {"run_id": run_id}).ok()["run"]

    def registered_model(self, name: str | None = None, **fields) -> str:
        name = name or f"model-{uuid.uuid4().hex[:12]}"
        self.post("registered-models/create", {"name": name, **fields}).ok()
        return name

    def version(self, name: str, source: str = "s3://bucket/model", **fields) -> str:
        body = {"name": name, "source": source, **fields}
        return self.post("model-versions/create", body).ok()["model_version"]["version"]
