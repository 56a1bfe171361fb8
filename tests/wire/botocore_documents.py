"""The other side of botocore-documents.test.ts: botocore's serializers to our readers, our writers to its parsers.

In:  [{service, protocol, cases: [{operation, input, output, status, headers, body}]}], bytes in base64, values as botocore_codec.py has them
Out: [{requests: {operation: {params, method, path, query, headers, body}}, differences: [text]}]
"""
import base64
import json
import sys
from urllib.parse import quote

import botocore.parsers
import botocore.serialize
import botocore.session
from botocore.awsrequest import HeadersDict
from botocore_codec import known, plain


def flat(query):
    if isinstance(query, str):
        return query
    pairs = [(name, each) for name, value in query.items() for each in (value if isinstance(value, list) else [value])]
    return "&".join(quote(name, safe="") + "=" + quote(str(each), safe="") for name, each in pairs)


def conforms(shape, value):
    """False where botocore's model has a number for what is a text in the SDK's, as S3's markers of parts are."""
    if shape is None:
        return True
    if shape.type_name == "structure":
        return all(conforms(shape.members[name], value[name]) for name in value if name in shape.members)
    if shape.type_name == "list":
        return all(conforms(shape.member, each) for each in value)
    if shape.type_name == "map":
        return all(conforms(shape.value, each) for each in value.values())
    return shape.type_name not in ("integer", "long", "float", "double") or not isinstance(value, str)


def tried(model, protocol, case, said):
    operation = model.operation_model(case["operation"])
    params = known(operation.input_shape, case["input"]) if operation.input_shape else {}
    request = botocore.serialize.create_serializer(protocol, False).serialize_to_request(params, operation)
    body = request["body"]
    said["requests"][case["operation"]] = {
        "params": plain(params),
        "method": request["method"],
        "path": request["url_path"],
        "query": flat(request.get("query_string") or ""),
        "headers": {name.lower(): str(value) for name, value in request["headers"].items()},
        "body": base64.b64encode(body.encode() if isinstance(body, str) else bytes(body or b"")).decode(),
    }
    if operation.has_streaming_output or not operation.output_shape:
        return
    response = {"status_code": case["status"], "headers": HeadersDict(case["headers"]), "body": base64.b64decode(case["body"])}
    parsed = botocore.parsers.create_parser(protocol).parse(response, operation.output_shape)
    parsed.pop("ResponseMetadata", None)
    expected = plain(known(operation.output_shape, case["output"]))
    if plain(parsed) != expected:
        said["differences"].append(case["operation"] + ": " + repr(plain(parsed))[:600] + " is not " + repr(expected)[:600])


def main():
    session = botocore.session.get_session()
    answer = []
    for each in json.load(sys.stdin):
        model = session.get_service_model(each["service"])
        said = {"requests": {}, "differences": []}
        for case in each["cases"]:
            if case["operation"] not in model.operation_names:
                continue
            operation = model.operation_model(case["operation"])
            if conforms(operation.input_shape, case["input"]) and conforms(operation.output_shape, case["output"]):
                tried(model, each["protocol"], case, said)
        answer.append(said)
    json.dump(answer, sys.stdout)


main()
