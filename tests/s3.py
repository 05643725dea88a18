"""A real S3 server in a process of its own: moto, which checks signatures and policies as Amazon does (docs/decisions/0220)."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.request import Request, urlopen

import boto3

BUCKET, REGION = "qifuquan-files", "cn-north-1"
# What a bucket's owner gives the application: files of this bucket, and nothing else.
POLICY = {"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": "s3:*", "Resource": [f"arn:aws-cn:s3:::{BUCKET}", f"arn:aws-cn:s3:::{BUCKET}/*"]},
]}


@dataclass(frozen=True)
class S3:
    endpoint: str
    key_id: str
    secret: str

    def environment(self) -> dict[str, str]:
        """What an operator sets beside STORAGE_URL."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint, "AWS_REGION": REGION, "AWS_ACCESS_KEY_ID": self.key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret,
        }

    def client(self) -> Any:
        return boto3.client(
            "s3", endpoint_url=self.endpoint, region_name=REGION, aws_access_key_id=self.key_id, aws_secret_access_key=self.secret
        )

    def left(self) -> dict[str, int]:
        """Sizes by key of all that takes room: objects, and uploads of parts that nobody completed (size 0)."""
        client = self.client()
        found = {each["Key"]: each["Size"] for each in client.list_objects_v2(Bucket=BUCKET).get("Contents", [])}
        return found | {each["Key"]: 0 for each in client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])}

    def empty(self) -> None:
        client = self.client()
        for each in client.list_objects_v2(Bucket=BUCKET).get("Contents", []):
            client.delete_object(Bucket=BUCKET, Key=each["Key"])
        for each in client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", []):
            client.abort_multipart_upload(Bucket=BUCKET, Key=each["Key"], UploadId=each["UploadId"])


# It tells its port, and ends with whoever holds its input, however that ends.
PROGRAM = """
import logging, sys
from moto.server import ThreadedMotoServer
logging.getLogger("werkzeug").setLevel(logging.ERROR)
server = ThreadedMotoServer("127.0.0.1", 0)
server.start()
print("port", server.get_host_and_port()[1], flush=True)  # behind what it says of itself
sys.stdin.read()
"""


@contextmanager
def running_s3() -> Iterator[S3]:
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        ports = (line.split()[1] for line in server.stdout if line.startswith("port "))
        try:
            yield _set_up(f"http://127.0.0.1:{next(ports)}")
        finally:
            server.kill()


def _set_up(endpoint: str) -> S3:
    """A bucket, and a user who may use it; from then on every request must be signed."""
    root = {"endpoint_url": endpoint, "region_name": REGION, "aws_access_key_id": "root", "aws_secret_access_key": "root"}
    boto3.client("s3", **root).create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    iam = boto3.client("iam", **root)
    iam.create_user(UserName="qifuquan")
    iam.put_user_policy(UserName="qifuquan", PolicyName="files", PolicyDocument=json.dumps(POLICY))
    key = iam.create_access_key(UserName="qifuquan")["AccessKey"]
    with urlopen(Request(f"{endpoint}/moto-api/reset-auth", b"0", {"Content-Type": "text/plain"})):
        return S3(endpoint, key["AccessKeyId"], key["SecretAccessKey"])
