"""Calls boto3 as it is told by lines of JSON on stdin, and answers each with one line."""

import json
import sys

import boto3
from botocore import xform_name
from botocore.exceptions import ClientError

clients = {name: boto3.client(name) for name in ("ec2", "sts")}


def answer(request):
    if "waiter" in request:
        waiter = clients["ec2"].get_waiter(xform_name(request["waiter"]))
        waiter.wait(WaiterConfig={"Delay": 1, "MaxAttempts": 30}, **request["input"])
        return {"state": "SUCCESS"}
    result = getattr(clients[request["service"]], xform_name(request["operation"]))(**request["input"])
    del result["ResponseMetadata"]
    return result


for line in sys.stdin:
    try:
        said = {"result": answer(json.loads(line))}
    except ClientError as error:
        said = {"error": {"code": error.response["Error"]["Code"], "message": error.response["Error"]["Message"]}}
    print(json.dumps(said, default=lambda value: value.isoformat()), flush=True)
