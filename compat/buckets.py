"""A bucket or container seen past every server, with the store's own client: what really lies there."""

import dataclasses

from services import Store

PREFIX = "some/prefix/"

# The stores that speak S3.
S3 = ("seaweedfs", "rclone", "juicefs")


@dataclasses.dataclass
class Bucket:
    store: Store
    name: str

    @property
    def uri(self) -> str:
        """Where a server is told to put artifacts: below a prefix, which must show in no answer."""
        below = PREFIX.rstrip("/")
        if self.store.name in S3:
            return f"s3://{self.name}/{below}"
        if self.store.name == "fake-gcs":
            return f"gs://{self.name}/{below}"
        account = self.store.variables["AZURE_STORAGE_ACCOUNT_NAME"]
        return f"wasbs://{self.name}@{account}.blob.core.windows.net/{below}"

    def keys(self, below: str = "") -> dict[str, int]:
        """The size of every object whose key begins with the prefix and `below`, by what follows the prefix."""
        found = self._list(PREFIX + below)
        # JuiceFS lists the folders that it has, emptied ones too.
        return {key.removeprefix(PREFIX): size for key, size in found if not key.endswith("/")}

    def everything(self) -> set[str]:
        """Every key in the bucket, with its prefix."""
        return {key for key, _ in self._list("")}

    def read(self, key: str) -> bytes:
        key = PREFIX + key
        match self.store.name:
            case "seaweedfs" | "rclone" | "juicefs":
                return self.s3().get_object(Bucket=self.name, Key=key)["Body"].read()
            case "azurite":
                return self.azure().download_blob(key).readall()
            case _:
                return self.gcs().blob(key).download_as_bytes()

    def write(self, key: str, content: bytes) -> None:
        key = PREFIX + key
        match self.store.name:
            case "seaweedfs" | "rclone" | "juicefs":
                self.s3().put_object(Bucket=self.name, Key=key, Body=content)
            case "azurite":
                self.azure().upload_blob(key, content, overwrite=True)
            case _:
                self.gcs().blob(key).upload_from_string(content)

    def delete(self, key: str) -> None:
        key = PREFIX + key
        match self.store.name:
            case "seaweedfs" | "rclone" | "juicefs":
                self.s3().delete_object(Bucket=self.name, Key=key)
            case "azurite":
                self.azure().delete_blob(key)
            case _:
                self.gcs().blob(key).delete()

    def unfinished(self) -> list[str]:
        """The keys of multipart uploads that were begun and neither completed nor aborted. Only S3 tells."""
        return [upload["Key"] for upload in self.s3().list_multipart_uploads(Bucket=self.name).get("Uploads", [])]

    def _list(self, prefix: str) -> list[tuple[str, int]]:
        match self.store.name:
            case "seaweedfs" | "rclone" | "juicefs":
                pages = self.s3().get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix)
                return [(o["Key"], o["Size"]) for page in pages for o in page.get("Contents", [])]
            case "azurite":
                return [(blob.name, blob.size) for blob in self.azure().list_blobs(name_starts_with=prefix)]
            case _:
                return [(blob.name, blob.size) for blob in self.gcs().list_blobs(prefix=prefix)]

    def s3(self):
        import boto3

        variables = self.store.variables
        return boto3.client(
            "s3",
            endpoint_url=variables["AWS_ENDPOINT_URL"],
            aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
            region_name=variables["AWS_REGION"],
        )

    def azure(self):
        from azure.storage.blob import ContainerClient

        return ContainerClient.from_connection_string(self.store.variables["AZURE_STORAGE_CONNECTION_STRING"], self.name)

    def gcs(self):
        from google.auth.credentials import AnonymousCredentials
        from google.cloud import storage

        endpoint = self.store.variables["STORAGE_EMULATOR_HOST"]
        client = storage.Client("test", AnonymousCredentials(), client_options={"api_endpoint": endpoint})
        return client.bucket(self.name)
