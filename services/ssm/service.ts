/** Systems Manager: public parameters. https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-public-parameters.html */
import type * as SSM from "@aws-sdk/client-ssm"
import type { Call, Cloud } from "#cloud/call.ts"
import { commonErrors, defineErrors } from "#cloud/errors.ts"
import { pageOf } from "#cloud/resources/describe.ts"
import { createDispatcher, type Dispatcher, pure } from "#cloud/service.ts"
import { type PublicParameter, publicParameters } from "../ec2/images/public-parameters.ts"
import type { Operation } from "#wire/typed.ts"
import type { HandlerOf, HandlersOf } from "../handler.ts"
import { broken, checkName, checkPath, readFilters } from "./checks.ts"

type Handler<O extends Operation<typeof SSM>> = HandlerOf<typeof SSM, O>

export const errors = {
  ...commonErrors,
  ParameterNotFound: [400, "Parameter {name} not found."],
  ParameterVersionNotFound: [
    400,
    "Systems Manager could not find version {version} of {name}. Verify the version and try again.",
  ],
} as const
export const raise = defineErrors(errors)

const getParameter: Handler<"GetParameter"> = async ({ Name = "" }, call) => {
  const { name, selector } = readName(Name)
  const found = (await publicParameters(call)).find((parameter) => parameter.name === name)
  if (found === undefined) throw raise("ParameterNotFound", { name })
  if (!isCurrent(selector)) throw raise("ParameterVersionNotFound", { name, version: selector })
  return { Parameter: { ...toParameter(found, call), ...(selector === undefined ? {} : { Selector: `:${selector}` }) } }
}

const getParameters: Handler<"GetParameters"> = async ({ Names = [] }, call) => {
  if (new Set(Names).size !== Names.length) throw broken("names", Names, "Member must have unique values")
  const wanted = Names.map((given) => ({ given, ...readName(given) }))
  const all = await publicParameters(call)
  const found = wanted.map((each) => ({
    ...each,
    parameter: isCurrent(each.selector) ? all.find(({ name }) => name === each.name) : undefined,
  }))
  return {
    Parameters: found.flatMap(({ parameter }) => (parameter ? [toParameter(parameter, call)] : [])),
    InvalidParameters: found.flatMap(({ parameter, given }) => (parameter ? [] : [given])),
  }
}

const getParametersByPath: Handler<"GetParametersByPath"> = async (input, call) => {
  const path = checkPath(input.Path ?? "")
  const filters = readFilters(input.ParameterFilters, ["Type", "KeyId", "Label", "DataType"])
  const below = (await publicParameters(call)).filter(({ name }) => {
    const rest = name.startsWith(path) ? name.slice(path.length) : ""
    return rest !== "" && (input.Recursive === true || !rest.includes("/"))
  })
  const fitting = below.filter(() =>
    filters.every(({ key, fits }) => (key === "Type" ? fits("String") : key === "DataType" ? fits(dataType) : false)),
  )
  const page = pageOf(
    fitting,
    { maxResults: input.MaxResults ?? 10, nextToken: input.NextToken, bounds: [1, 10] },
    "GetParametersByPath",
    path,
    input.Recursive ?? false,
    input.ParameterFilters ?? [],
  )
  return {
    Parameters: page.items.map((parameter) => toParameter(parameter, call)),
    ...(page.nextToken === undefined ? {} : { NextToken: page.nextToken }),
  }
}

/** DescribeParameters lists the account's own parameters, on AWS too: public ones are found by path. There are none yet. */
const describeParameters: Handler<"DescribeParameters"> = async (input) => {
  readFilters(input.ParameterFilters, ["Name", "Type", "KeyId", "Path", "Tier", "DataType"])
  if (input.Filters !== undefined && input.ParameterFilters !== undefined)
    throw broken("filters", [], "Filters and ParameterFilters cannot be used together")
  if (input.NextToken !== undefined && input.NextToken !== "")
    throw raise("InvalidNextToken", { token: input.NextToken })
  return { Parameters: [] }
}

/** What an AMI's parameter is of. */
const dataType = "aws:ec2:image"
const isCurrent = (selector: string | undefined) => selector === undefined || selector === "1"

/** "/a/b", "/a/b:3", or the ARN of either. */
function readName(given: string): { readonly name: string; readonly selector: string | undefined } {
  const [, path = given] = /^arn:aws:ssm:[a-z0-9-]*:\d*:parameter(\/.*)$/.exec(given) ?? []
  const [, name = path, selector] = /^([^:]*):(.*)$/.exec(path) ?? []
  checkName(name)
  return { name, selector }
}

function toParameter({ name, image }: PublicParameter, call: Call) {
  return {
    Name: name,
    Type: "String" as const,
    Value: image.id,
    Version: 1,
    LastModifiedDate: new Date(image.record.createdMs),
    ARN: `arn:aws:ssm:${call.region}::parameter${name}`,
    DataType: dataType,
  }
}

export const handlers = {
  DescribeParameters: pure(describeParameters),
  GetParameter: pure(getParameter),
  GetParameters: pure(getParameters),
  GetParametersByPath: pure(getParametersByPath),
} satisfies HandlersOf<typeof SSM>

export function createService(cloud: Cloud): Dispatcher {
  return createDispatcher(cloud, handlers)
}
