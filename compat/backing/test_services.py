"""The servers that ours may stand on, each with its stock client: what services.py starts is the real thing."""

import contextlib
import time

import boto3
import botocore.exceptions
import psycopg2
import pytest
import requests
from azure.core.exceptions import ResourceExistsError
from azure.storage.blob import BlobServiceClient
from google.api_core.exceptions import PreconditionFailed
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from servers import Server
from services import ServiceFailed


def query(url: str, sql: str) -> list[tuple]:
    with contextlib.closing(psycopg2.connect(url, connect_timeout=10)) as connection, connection:
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall() if cursor.description else []


def s3(store, **changes):
    variables = store.variables | changes
    return boto3.client(
        "s3",
        endpoint_url=variables["AWS_ENDPOINT_URL"],
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
        region_name=variables["AWS_REGION"],
    )


def test_postgres(postgres):
    one, two = postgres.database(), postgres.database()
    query(one, "CREATE TABLE wine (name text)")
    query(one, "INSERT INTO wine VALUES ('Riesling')")
    assert query(one, "SELECT name FROM wine") == [("Riesling",)]
    with pytest.raises(psycopg2.errors.UndefinedTable):
        query(two, "SELECT name FROM wine")


def test_postgres_with_tls_and_a_password_after_a_crash(own_postgres):
    server = own_postgres("tls=yes", "password=told-to-nobody", "durable=yes")
    query(server.url, "CREATE TABLE wine (name text)")
    authority = server.variables["PGSSLROOTCERT"]
    server.tell("crash")
    with pytest.raises(psycopg2.OperationalError):
        query(server.url, "SELECT 1")
    server.tell("restart")
    verified = server.url.replace("sslmode=require", f"sslmode=verify-full&sslrootcert={authority}")
    assert query(verified, "SELECT count(*) FROM wine") == [(0,)]


def test_pgbouncer(postgres, pgbouncer):
    url = postgres.database()
    through = pgbouncer(postgres, "pool=2").through(url)
    assert query(through, "SELECT current_database()") == [(url.rsplit("/", 1)[1],)]


def test_what_cannot_be_done_is_told(postgres, own_postgres):
    with pytest.raises(ServiceFailed, match="colour is no option of this service"):
        own_postgres("colour=red")
    with pytest.raises(ServiceFailed, match="PostgreSQL can be told: crash"):
        postgres.tell("dance")


def test_seaweedfs(seaweedfs):
    client, bucket = s3(seaweedfs), seaweedfs.bucket()
    client.put_object(Bucket=bucket, Key="a/wine", Body=b"Riesling", IfNoneMatch="*")
    assert client.get_object(Bucket=bucket, Key="a/wine", Range="bytes=4-")["Body"].read() == b"ling"
    with pytest.raises(botocore.exceptions.ClientError, match="PreconditionFailed"):
        client.put_object(Bucket=bucket, Key="a/wine", Body=b"Silvaner", IfNoneMatch="*")
    with pytest.raises(botocore.exceptions.ClientError, match="SignatureDoesNotMatch"):
        s3(seaweedfs, AWS_SECRET_ACCESS_KEY="wrong").get_object(Bucket=bucket, Key="a/wine")


def test_seaweedfs_after_a_crash(own_store):
    store = own_store("seaweedfs")
    bucket = store.bucket()
    s3(store).put_object(Bucket=bucket, Key="wine", Body=b"Riesling")
    store.tell("crash")
    store.tell("restart")
    assert s3(store).get_object(Bucket=bucket, Key="wine")["Body"].read() == b"Riesling"


def test_rclone_ignores_conditions(rclone):
    client, bucket = s3(rclone), rclone.bucket()
    for wine in (b"Riesling", b"Silvaner"):
        client.put_object(Bucket=bucket, Key="wine", Body=wine, IfNoneMatch="*")
        assert client.get_object(Bucket=bucket, Key="wine")["Body"].read() == wine


def test_azurite(azurite):
    service = BlobServiceClient.from_connection_string(azurite.variables["AZURE_STORAGE_CONNECTION_STRING"])
    blob = service.get_blob_client(azurite.bucket(), "a/wine")
    blob.upload_blob(b"Riesling")
    assert blob.download_blob(offset=4, length=4).readall() == b"ling"
    with pytest.raises(ResourceExistsError):
        blob.upload_blob(b"Silvaner", overwrite=False)


def test_fake_gcs(fake_gcs):
    options = {"api_endpoint": fake_gcs.variables["STORAGE_EMULATOR_HOST"]}
    client = storage.Client("test", AnonymousCredentials(), client_options=options)
    blob = client.bucket(fake_gcs.bucket()).blob("a/wine")
    blob.upload_from_string(b"Riesling", if_generation_match=0)
    assert blob.download_as_bytes(start=4) == b"ling"
    with pytest.raises(PreconditionFailed):
        blob.upload_from_string(b"Silvaner", if_generation_match=0)


def test_haproxy_goes_on_without_a_server_that_died(haproxy, server_kind, tmp_path):
    with Server(server_kind, tmp_path / "one") as one, Server(server_kind, tmp_path / "two") as two:
        url = haproxy(one.url, two.url).variables["HAPROXY_URL"]
        for _ in range(10):
            assert requests.get(f"{url}/version", timeout=30).status_code == 200
        one.kill()
        for _ in range(10):
            assert requests.get(f"{url}/version", timeout=30).status_code == 200
        one.start()


def test_patroni(patroni):
    pair = patroni()
    first = pair.tell("primary")["url"]
    query(pair.variables["PATRONI_URL"], "CREATE TABLE wine (name text)")
    pair.tell("kill-primary")
    assert pair.tell("primary")["url"] != first
    assert query(pair.variables["PATRONI_URL"], "SELECT count(*) FROM wine") == [(0,)]


@pytest.mark.differs_from_stock("stock has no /metrics without a plugin")
def test_prometheus(prometheus, server):
    url = prometheus(server.url).variables["PROMETHEUS_URL"]
    for _ in range(100):
        result = requests.get(f"{url}/api/v1/query", {"query": "up"}, timeout=30).json()["data"]["result"]
        if result and result[0]["value"][1] == "1":
            return
        time.sleep(0.2)
    raise AssertionError(f"Prometheus does not read /metrics: {result}")


def test_fault_proxy(fault_proxy, postgres):
    url = postgres.database()
    proxy = fault_proxy(postgres.address)
    through = url.replace(postgres.address, proxy.address)
    assert query(through, "SELECT 1") == [(1,)]
    proxy.next("cut-down=20")
    with pytest.raises(psycopg2.OperationalError):
        query(through, "SELECT 1")
    proxy.set("refuse=yes")
    with pytest.raises(psycopg2.OperationalError, match="refused"):
        query(through, "SELECT 1")
    proxy.set()
    assert query(through, "SELECT 1") == [(1,)]
    with contextlib.closing(psycopg2.connect(through)) as connection:
        proxy.cut_all()
        with pytest.raises(psycopg2.OperationalError), connection.cursor() as cursor:
            cursor.execute("SELECT 1")
