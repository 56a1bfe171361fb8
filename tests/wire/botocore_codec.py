"""The other side of botocore.test.ts: reads values and answers as JSON, says what botocore makes of them.

In:  {service: [{operation, input, output, answer}]}, times as {"$time": ms}, blobs as {"$blob": base64}
Out: {service: {onlyThere: [operation], requests: {operation: {params, body}}, differences: [text]}}
"""
import base64
import datetime
import json
import sys
from urllib.parse import urlencode

import botocore.parsers
import botocore.serialize
import botocore.session


def known(shape, value):
    """The part of a value that botocore's model knows, in botocore's types."""
    if shape.type_name == "structure":
        return {name: known(shape.members[name], value[name]) for name in value if name in shape.members}
    if shape.type_name == "list":
        return [known(shape.member, each) for each in value]
    if shape.type_name == "map":
        return {key: known(shape.value, value[key]) for key in value}
    if shape.type_name == "timestamp":
        return datetime.datetime.fromtimestamp(value["$time"] / 1000, datetime.timezone.utc)
    if shape.type_name == "blob":
        return base64.b64decode(value["$blob"])
    return value


def plain(value):
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, datetime.datetime):
        return {"$time": round(value.timestamp() * 1000)}
    if isinstance(value, bytes):
        return {"$blob": base64.b64encode(value).decode()}
    return value


def tried(model, case, said):
    operation = model.operation_model(case["operation"])
    params = known(operation.input_shape, case["input"]) if operation.input_shape else {}
    serializer = botocore.serialize.create_serializer(model.metadata["protocol"], False)
    request = serializer.serialize_to_request(params, operation)
    said["requests"][case["operation"]] = {"params": plain(params), "body": urlencode(request["body"])}

    parser = botocore.parsers.create_parser(model.metadata["protocol"])
    response = {"status_code": 200, "headers": {}, "body": case["answer"].encode()}
    parsed = parser.parse(response, operation.output_shape)
    metadata = parsed.pop("ResponseMetadata", {})
    if metadata.get("RequestId") != "00000000-1111-2222-3333-444444444444":
        said["differences"].append(case["operation"] + ": request id " + repr(metadata))
    expected = known(operation.output_shape, case["output"]) if operation.output_shape else {}
    if parsed != expected:
        said["differences"].append(case["operation"] + ": " + repr(parsed)[:500] + " is not " + repr(expected)[:500])


def main():
    session = botocore.session.get_session()
    answer = {}
    for service, cases in json.load(sys.stdin).items():
        model = session.get_service_model(service)
        names = set(model.operation_names)
        said = {"requests": {}, "differences": [], "onlyThere": sorted(names - {each["operation"] for each in cases})}
        for case in cases:
            if case["operation"] in names:
                tried(model, case, said)
        answer[service] = said
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
