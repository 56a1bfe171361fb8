"""Calls boto3 as it is told by lines of JSON on stdin, and answers each with one line."""

import json
import sys

import boto3
from botocore import xform_name
from botocore.exceptions import ClientError, WaiterError

clients = {name: boto3.client(name) for name in ("ec2", "sts")}


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
