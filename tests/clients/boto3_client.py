"""Calls boto3 as it is told by lines of JSON on stdin, and answers each with one line."""

import json
import os
import sys

import boto3
from botocore import xform_name
from botocore.exceptions import ClientError, WaiterError

# The one of Debian 12 knows no AWS_ENDPOINT_URL: https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html
old = tuple(int(number) for number in boto3.__version__.split(".")[:2]) < (1, 28)
endpoint = os.environ["AWS_ENDPOINT_URL"] if old else None
clients = {name: boto3.client(name, endpoint_url=endpoint) for name in ("ec2", "sts")}


def call(service, operation, input):
    result = getattr(clients[service], xform_name(operation))(**input)
    del result["ResponseMetadata"]
    return result


def wait(waiter, input, attempts=30):
    found = clients["ec2"].get_waiter(xform_name(waiter))
    found.wait(WaiterConfig={"Delay": 1, "MaxAttempts": attempts}, **input)
    return {"state": "SUCCESS"}


def paginate(operation, input, size):
    paginator = clients["ec2"].get_paginator(xform_name(operation))
    pages = list(paginator.paginate(PaginationConfig={"PageSize": size}, **input))
    for page in pages:
        del page["ResponseMetadata"]
    return {"pages": pages}


def models():
    """Waiters with the operations they poll, and the operations that have a paginator with what it collects."""
    session = boto3.session.Session()._session
    waiters = session.get_waiter_model("ec2")
    paginators = session.get_paginator_model("ec2")._paginator_config
    return {
        "waiters": {name: waiters.get_waiter(name).operation for name in waiters.waiter_names},
        "paginators": {name: config["result_key"] for name, config in paginators.items()},
    }


commands = {"call": call, "wait": wait, "paginate": paginate, "models": models}

for line in sys.stdin:
    command, arguments = json.loads(line)
    try:
        said = {"result": commands[command](**arguments)}
    except ClientError as error:
        said = {"error": {"code": error.response["Error"]["Code"], "message": error.response["Error"]["Message"]}}
    except WaiterError as error:
        said = {"error": {"code": "WaiterError", "message": error.kwargs["reason"]}}
    print(json.dumps(said, default=lambda value: value.isoformat()), flush=True)
