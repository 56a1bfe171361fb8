"""S3 by boto3 as it is set up by default: what it did and saw, as JSON on stdout. argv: an endpoint by name, for virtual hosts."""
import hashlib
import io
import json
import os
import sys

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

endpoint = os.environ["AWS_ENDPOINT_URL"]
s3 = boto3.client("s3", endpoint_url=endpoint)
seen = {}

s3.create_bucket(Bucket="from-boto3")
content = bytes(range(256)) * (11 * 4096)
parts = TransferConfig(multipart_threshold=5 * 2**20, multipart_chunksize=5 * 2**20)
s3.upload_fileobj(io.BytesIO(content), "from-boto3", "large", Config=parts)
back = io.BytesIO()
s3.download_fileobj("from-boto3", "large", back, Config=parts)
seen["same"] = hashlib.sha256(back.getvalue()).digest() == hashlib.sha256(content).digest()
seen["parts"] = s3.head_object(Bucket="from-boto3", Key="large")["ETag"].strip('"').rpartition("-")[2]

key = "dir/a b+c&é"
s3.put_object(Bucket="from-boto3", Key=key, Body=b"abc", Metadata={"colour": "red"})
got = s3.get_object(Bucket="from-boto3", Key=key)
seen["object"] = [got["Body"].read().decode(), got["Metadata"], got["ContentLength"]]
pages = s3.get_paginator("list_objects_v2").paginate(Bucket="from-boto3", PaginationConfig={"PageSize": 1})
seen["keys"] = [each["Key"] for page in pages for each in page["Contents"]]
try:
    s3.get_object(Bucket="from-boto3", Key="none")
except ClientError as error:
    seen["error"] = [error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]]

params = {"Bucket": "from-boto3", "Key": key}
version4 = boto3.client("s3", endpoint_url=endpoint, config=Config(signature_version="s3v4"))
hosts = Config(signature_version="s3v4", s3={"addressing_style": "virtual"})
virtual = boto3.client("s3", endpoint_url=sys.argv[1], config=hosts)
seen["presigned"] = {
    "version 2": s3.generate_presigned_url("get_object", Params=params),
    "version 4": version4.generate_presigned_url("get_object", Params=params),
    "virtual host": virtual.generate_presigned_url("get_object", Params=params),
}
put = {"Bucket": "from-boto3", "Key": "put by url"}
seen["upload"] = version4.generate_presigned_url("put_object", Params=put)
json.dump(seen, sys.stdout)
