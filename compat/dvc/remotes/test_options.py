"""Options of remotes and what stands beside them in the environment: each is seen to arrive where it should."""

import base64
import datetime
import json
import subprocess
import urllib.request

import pytest

from dvc.remotes.forward_proxy import ForwardProxy
from dvc.remotes.repository import Repository
from operations.certificates import Authority

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def forward_proxy():
    made = []

    def make(answer=None) -> ForwardProxy:
        made.append(ForwardProxy(answer))
        return made[-1]

    yield make
    for proxy in made:
        proxy.stop()


@pytest.fixture
def in_place_of(forward_proxy, tmp_path):
    """Makes `https://host` reach a server here: gives the proxy by which it does, and the authority to be believed."""

    def make(host: str, address: str) -> tuple[ForwardProxy, str]:
        authority = Authority(tmp_path / "authority")
        proxy = forward_proxy()
        proxy.tls.load_cert_chain(*authority.sign("cloud", hosts=(host,)))
        proxy.stands_for[f"{host}:443"] = address
        return proxy, str(authority.path)

    return make


@pytest.fixture
def one(kind, remote, repository, ours) -> Repository:
    """With something to push to the remote `p`, which it may use."""
    made = repository("one", ours, remote)
    made.write("d/a", b"a\n")
    made.write("d/b", b"b\n")
    made.dvc("add", "-q", "d")
    remote.configure(made, "p", "p")
    return made


def works(one: Repository) -> None:
    """To and fro."""
    one.dvc("push", "-r", "p")
    one.forget()
    one.dvc("pull", "-r", "p")
    assert one.data()["d/a"] == b"a\n"


def error_of(one: Repository, *args: str) -> str:
    done = one.dvc(*(args or ("status", "-c", "-r", "p")), code=None)
    errors = [line for line in done.stderr.strip().split("\n") if not line.startswith("WARNING: failed to collect 'workspace'")]
    assert done.code not in (0, 101) and len(errors) == 1 and errors[0].startswith("ERROR: "), done
    return errors[0]


# A proxy.


@pytest.mark.kinds("s3", "azure", "gs", "webdav", "http", "webhdfs")
def test_a_proxy_is_used_and_left_out(kind, remote, one, forward_proxy):
    proxy = forward_proxy()
    one.env["HTTP_PROXY"] = proxy.url
    works(one)
    assert {seen.method for seen in proxy.seen} >= {"GET"} and any(remote.address in seen.url for seen in proxy.seen)
    assert all(seen.url.startswith("http://") for seen in proxy.seen)
    one.forget()
    before, one.env["NO_PROXY"] = len(proxy.seen), "example.org,127.0.0.1"
    one.dvc("pull", "-r", "p")
    assert len(proxy.seen) == before
    # One that is not there is named.
    one.forget()
    del one.env["NO_PROXY"]
    one.env["HTTP_PROXY"] = "http://127.0.0.1:9"
    assert "proxy 127.0.0.1:9" in error_of(one)


@pytest.mark.kinds("webdav")
def test_encrypted_through_a_proxy_by_an_authority_of_ones_own(kind, remote, one, apache, forward_proxy):
    tls, authority = apache.variables["APACHE_TLS"], apache.variables["APACHE_AUTHORITY"]
    proxy = forward_proxy()
    one.env["HTTPS_PROXY"] = proxy.url.replace("http://", "http://proxy-user:proxy-password@")
    url = remote.url.replace("webdav://", "webdavs://").replace(remote.address, tls)
    one.dvc("remote", "modify", "p", "url", f"{url}/p")
    # Nobody knows its certificate, and no password is sent.
    one.env.pop("SSL_CERT_FILE", None)
    assert "certificate" in error_of(one)
    for value in (authority, "false"):
        one.dvc("remote", "modify", "p", "ssl_verify", value)
        works(one)
    one.dvc("remote", "modify", "p", "ssl_verify", str(one.folder / "nope.crt"))
    assert "nope.crt" in error_of(one)
    assert {(seen.method, seen.url) for seen in proxy.seen} == {("CONNECT", tls)}
    assert proxy.seen[0].headers["proxy-authorization"] == "Basic " + base64.b64encode(b"proxy-user:proxy-password").decode()


@pytest.mark.kinds("http")
def test_https_by_an_authority_of_ones_own(kind, remote, one, apache):
    name = apache.folder()
    file = urllib.request.Request(f"http://{apache.address}/up/{name}/f", b"file\n", method="PUT")
    urllib.request.urlopen(file).close()
    one.dvc("remote", "add", "-f", "p", f"https://{apache.variables['APACHE_TLS']}/pub/{name}")
    one.env.pop("SSL_CERT_FILE", None)
    assert "certificate" in error_of(one, "get-url", "remote://p/f", "f")
    one.dvc("remote", "modify", "p", "ssl_verify", apache.variables["APACHE_AUTHORITY"])
    one.dvc("get-url", "remote://p/f", "f")
    assert (one.path / "f").read_bytes() == b"file\n"


# SSH.


@pytest.mark.kinds("ssh-password", "ssh-keyboard")
def test_a_password_in_either_way_that_servers_ask_for_it(kind, remote, repository, stock, one):
    works(one)
    one.commit()
    theirs = repository("theirs", stock, remote, of=one)
    theirs.dvc("pull", "-r", "p")
    assert theirs.data() == one.data()
    one.dvc("remote", "modify", "--local", "p", "password", remote.wrong["password"])
    assert "password" in error_of(one)
    one.dvc("remote", "modify", "--local", "p", "--unset", "password")
    assert "password" in error_of(one)


# S3.

UPLOADS = {
    "sse": ("AES256", "x-amz-server-side-encryption"),
    "sse_kms_key_id": ("a-key", "x-amz-server-side-encryption-aws-kms-key-id"),
    "acl": ("bucket-owner-full-control", "x-amz-acl"),
    "grant_full_control": ('id="1"', "x-amz-grant-full-control"),
    "grant_read": ('id="2"', "x-amz-grant-read"),
    "grant_read_acp": ('id="3"', "x-amz-grant-read-acp"),
    "grant_write_acp": ('id="4"', "x-amz-grant-write-acp"),
}


@pytest.mark.kinds("s3")
def test_s3_by_an_authority_of_ones_own(kind, remote, one, in_place_of):
    proxy, authority = in_place_of("s3.example.org", remote.address)
    one.env["HTTPS_PROXY"] = proxy.url
    one.env.pop("SSL_CERT_FILE", None)
    one.dvc("remote", "modify", "p", "endpointurl", "https://s3.example.org")
    assert "certificate" in error_of(one)
    for value in (authority, "false"):
        one.dvc("remote", "modify", "p", "ssl_verify", value)
        works(one)
    one.dvc("remote", "modify", "p", "ssl_verify", "true")
    for variable in ("AWS_CA_BUNDLE", "SSL_CERT_FILE"):
        assert "certificate" in error_of(one)
        one.env[variable] = authority
        works(one)
        del one.env[variable]
    assert {(seen.method, seen.url) for seen in proxy.seen} == {("CONNECT", "s3.example.org:443")}


@pytest.mark.kinds("s3")
def test_what_uploads_to_s3_say(kind, remote, one, forward_proxy):
    def puts(options: dict[str, str]) -> list[dict[str, str]]:
        name = f"p{len(one.dvc('remote', 'list').stdout)}"
        remote.configure(one, name, name)
        for option, value in options.items():
            one.dvc("remote", "modify", "--local", name, option, value)
        # A bucket in which nothing is and that takes everything: the server here knows neither keys nor sessions.
        empty = b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"
        answers = {"PUT": (200, {"ETag": '"e"'}, b""), "GET": (200, {"Content-Type": "application/xml"}, empty), "HEAD": (404, {}, b"")}
        proxy = forward_proxy(lambda seen: answers[seen.method])
        one.env["HTTP_PROXY"] = proxy.url
        done = one.dvc("push", "-r", name, code=None)
        found = [seen.headers for seen in proxy.seen if seen.method == "PUT"]
        assert found, done
        return found

    grants = {option: value for option, (value, _) in UPLOADS.items() if option != "acl"}
    for options in (grants, {"acl": UPLOADS["acl"][0]}):
        for headers in puts(options):
            signed = headers["authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
            for option in options:
                value, name = UPLOADS[option]
                assert headers[name] == value and name in signed, (option, headers)
    key = base64.b64encode(b"k" * 32).decode()
    for headers in puts({"sse_customer_key": key}):
        assert headers["x-amz-server-side-encryption-customer-key"] == key
        assert headers["x-amz-server-side-encryption-customer-algorithm"] == "AES256"
    for headers in puts({"session_token": "a-session"}):
        assert headers["x-amz-security-token"] == "a-session"
    # None of them where none was asked for.
    assert not [name for headers in puts({}) for name in headers if name.startswith(("x-amz-grant", "x-amz-server", "x-amz-acl", "x-amz-security"))]
    remote.configure(one, "p", "p")
    one.dvc("remote", "modify", "p", "acl", "private")
    one.dvc("remote", "modify", "p", "grant_read", 'id="2"')
    assert "'acl'" in error_of(one) and "'grant_read'" in error_of(one)


# As AWS answers.
EXPIRED = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message>'
    "<Token-0>a-session</Token-0><RequestId>4442587FB7D0A2F9</RequestId><HostId>h</HostId></Error>"
)


@pytest.mark.kinds("s3")
def test_a_token_that_has_expired(kind, remote, one, forward_proxy):
    one.dvc("push", "-r", "p")
    one.dvc("remote", "modify", "--local", "p", "session_token", "a-session")
    proxy = forward_proxy(lambda seen: (400, {"Content-Type": "application/xml", "x-amz-request-id": "4442587FB7D0A2F9"}, EXPIRED.encode()))
    one.env["HTTP_PROXY"] = proxy.url
    one.forget()
    for command in ("push", "fetch", "pull", "status -c"):
        error = error_of(one, *command.split(), "-r", "p")
        assert "expired" in error and "a-session" not in error, error


@pytest.mark.kinds("s3")
@pytest.mark.parametrize("way", ["profile", "credentialpath", "credential_process", "variables", "configpath"])
def test_where_s3_finds_credentials(way, kind, remote, one):
    for option in remote.private:
        one.dvc("remote", "modify", "--local", "--unset", "p", option)
    # Else it asks for the machine's own role.
    one.env["AWS_EC2_METADATA_DISABLED"] = "true"
    assert "credential" in error_of(one)
    key, secret = remote.private["access_key_id"], remote.private["secret_access_key"]
    # It is to stand in these files.
    remote.secrets = ()
    folder = one.folder / "home/.aws"
    folder.mkdir()
    keys = f"aws_access_key_id = {key}\naws_secret_access_key = {secret}\n"
    if way == "profile":
        (folder / "credentials").write_text(f"[default]\naws_access_key_id = x\naws_secret_access_key = y\n[mine]\n{keys}")
        one.dvc("remote", "modify", "p", "profile", "mine")
    elif way == "credentialpath":
        (folder / "elsewhere").write_text(f"[default]\n{keys}")
        one.dvc("remote", "modify", "--local", "p", "credentialpath", str(folder / "elsewhere"))
    elif way == "configpath":
        (folder / "settings").write_text(f"[profile mine]\n{keys}")
        one.dvc("remote", "modify", "--local", "p", "configpath", str(folder / "settings"))
        one.dvc("remote", "modify", "p", "profile", "mine")
    elif way == "credential_process":
        program = folder / "ask"
        expires = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)
        told = {"Version": 1, "AccessKeyId": key, "SecretAccessKey": secret, "Expiration": expires.strftime("%Y-%m-%dT%H:%M:%SZ")}
        program.write_text(f"#!/bin/sh\necho '{json.dumps(told)}'\n")
        program.chmod(0o755)
        (folder / "config").write_text(f"[default]\ncredential_process = {program}\n")
    else:
        one.env |= {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret}
    works(one)


# Azure and Google.


def account_sas(account: str, key: str) -> str:
    """A signature that opens all containers for an hour."""
    from azure.storage.blob import AccountSasPermissions, ResourceTypes, generate_account_sas

    return generate_account_sas(
        account,
        key,
        ResourceTypes(service=True, container=True, object=True),
        AccountSasPermissions(read=True, write=True, delete=True, list=True, add=True, create=True),
        expiry=datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1),
    )


@pytest.mark.kinds("azure")
@pytest.mark.parametrize("way", ["key", "sas", "variable"])
def test_how_azure_is_opened(way, kind, remote, one, azurite):
    variables = azurite.variables
    account, key = variables["AZURE_STORAGE_ACCOUNT_NAME"], variables["AZURE_STORAGE_ACCESS_KEY"]
    endpoint = variables["AZURE_STORAGE_ENDPOINT"]
    sas = account_sas(account, key)
    one.dvc("remote", "modify", "--local", "--unset", "p", "connection_string")
    assert "AZURE_STORAGE_ACCOUNT" in error_of(one)
    place = f"DefaultEndpointsProtocol=http;BlobEndpoint={endpoint};"
    told = {
        "key": {"connection_string": f"{place}AccountName={account};AccountKey={key}"},
        "sas": {"connection_string": f"{place}SharedAccessSignature={sas}"},
        "variable": {},
    }[way]
    if way == "variable":
        one.env["AZURE_STORAGE_CONNECTION_STRING"] = f"{place}AccountName={account};AccountKey={key}"
    for option, value in told.items():
        one.dvc("remote", "modify", "--local", "p", option, value)
    remote.secrets += (sas,)
    works(one)


@pytest.mark.kinds("azure")
@pytest.mark.parametrize("way", ["account_key", "sas_token", "AZURE_STORAGE_KEY", "AZURE_STORAGE_SAS_TOKEN"])
def test_an_account_of_azure_at_its_own_host(way, kind, remote, one, azurite, in_place_of):
    account, key = azurite.variables["AZURE_STORAGE_ACCOUNT_NAME"], azurite.variables["AZURE_STORAGE_ACCESS_KEY"]
    proxy, authority = in_place_of(f"{account}.blob.core.windows.net", remote.address)
    for name in ("HTTPS_PROXY", "https_proxy"):
        one.env[name] = proxy.url
    one.env["SSL_CERT_FILE"] = authority
    one.dvc("remote", "modify", "--local", "--unset", "p", "connection_string")
    one.dvc("remote", "modify", "p", "account_name", account)
    secret = account_sas(account, key) if "sas" in way.lower() else key
    if way.isupper():
        one.env[way] = secret
    else:
        one.dvc("remote", "modify", "--local", "p", way, secret)
    remote.secrets += (secret,)
    works(one)
    assert {(seen.method, seen.url) for seen in proxy.seen} == {("CONNECT", f"{account}.blob.core.windows.net:443")}


@pytest.mark.kinds("gs")
def test_google_at_its_own_host(kind, remote, one, in_place_of):
    proxy, authority = in_place_of("storage.googleapis.com", remote.address)
    one.env["HTTPS_PROXY"], one.env["SSL_CERT_FILE"] = proxy.url, authority
    one.dvc("remote", "modify", "p", "--unset", "endpointurl")
    works(one)
    assert {(seen.method, seen.url) for seen in proxy.seen} == {("CONNECT", "storage.googleapis.com:443")}


@pytest.mark.kinds("gs")
def test_a_service_account_of_google(kind, remote, one, forward_proxy):
    """Its key signs what each request shows."""
    proxy = forward_proxy()
    made = subprocess.run(["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"], capture_output=True, check=True)
    account = {
        "type": "service_account",
        "project_id": "p",
        "private_key_id": "1",
        "private_key": made.stdout.decode(),
        "client_email": "robot@p.iam.gserviceaccount.com",
        "token_uri": "https://oauth2.googleapis.com/token",
    }
    file = one.folder / "account.json"
    file.write_text(json.dumps(account))
    one.dvc("remote", "modify", "p", "--unset", "allow_anonymous_login")
    one.dvc("remote", "modify", "--local", "p", "credentialpath", str(file))
    one.env["HTTP_PROXY"] = proxy.url
    works(one)
    for seen in proxy.seen:
        scheme, _, token = seen.headers["authorization"].partition(" ")
        header, claims, _ = (json.loads(base64.urlsafe_b64decode(part + "==")) if at < 2 else part for at, part in enumerate(token.split(".")))
        assert (scheme, header["alg"], header["kid"], claims["iss"]) == ("Bearer", "RS256", "1", account["client_email"])
        assert claims["exp"] - claims["iat"] <= 3600
    file.write_text(json.dumps(account | {"private_key": "nonsense"}))
    error = error_of(one)
    assert "account.json" in error and "nonsense" not in error, error
