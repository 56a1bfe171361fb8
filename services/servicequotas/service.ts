/** Service Quotas. https://docs.aws.amazon.com/servicequotas/2019-06-24/apireference/Welcome.html */
import type * as SDK from "@aws-sdk/client-service-quotas"
import { randomBytes } from "node:crypto"
import type { Call, Cloud } from "#cloud/call.ts"
import { commonErrors, defineErrors } from "#cloud/errors.ts"
import { pageOf } from "#cloud/resources/describe.ts"
import type { Resource } from "#cloud/resources/kind.ts"
import { createDispatcher, type Dispatcher, pure } from "#cloud/service.ts"
import type { Operation } from "#wire/typed.ts"
import type { HandlerOf, HandlersOf } from "../handler.ts"
import { changeSettings } from "../ec2/account/settings.ts"
import { type Quota, quotasOf } from "../ec2/quotas.ts"
import { type QuotaRequestRecord, quotaRequestKind } from "./record.ts"

type Handler<O extends Operation<typeof SDK>> = HandlerOf<typeof SDK, O>

export const errors = {
  ...commonErrors,
  IllegalArgumentException: [400, "{detail}"],
  InvalidPaginationTokenException: [400, "The pagination token is not valid"],
  NoSuchResourceException: [400, "The request failed because the specified {what} does not exist."],
  ResourceAlreadyExistsException: [400, "Only one open service quota increase request is allowed per quota."],
} as const
const raise = defineErrors(errors)

const serviceNames = {
  ec2: "Amazon Elastic Compute Cloud (Amazon EC2)",
  vpc: "Amazon Virtual Private Cloud (Amazon VPC)",
}
type ServiceCode = keyof typeof serviceNames

interface Paged {
  readonly MaxResults?: number | undefined
  readonly NextToken?: string | undefined
}

function page<T>(items: readonly T[], { MaxResults, NextToken }: Paged, ...query: readonly unknown[]) {
  const wanted = { maxResults: MaxResults ?? 100, nextToken: NextToken, bounds: [1, 100] } as const
  try {
    const { items: some, nextToken } = pageOf(items, wanted, ...query)
    return { some, more: nextToken === undefined ? {} : { NextToken: nextToken } }
  } catch {
    throw raise("InvalidPaginationTokenException")
  }
}

function checkService(code: string | undefined): ServiceCode {
  if (code !== undefined && Object.hasOwn(serviceNames, code)) return code as ServiceCode
  throw raise("NoSuchResourceException", { what: "service" })
}

async function find(call: Call, service: string | undefined, code: string | undefined): Promise<Quota> {
  const wanted = checkService(service)
  const quota = (await quotasOf(call)).find((each) => each.service === wanted && each.code === code)
  if (quota === undefined) throw raise("NoSuchResourceException", { what: "quota" })
  return quota
}

function toQuota(quota: Quota, value: number | undefined, call: Call) {
  return {
    ServiceCode: quota.service,
    ServiceName: serviceNames[quota.service],
    QuotaArn: arnOf(quota, call),
    QuotaCode: quota.code,
    QuotaName: quota.name,
    Value: value,
    Unit: "None",
    Adjustable: quota.adjustable,
    GlobalQuota: false,
    QuotaAppliedAtLevel: "ACCOUNT" as const,
  }
}

const arnOf = ({ service, code }: Pick<Quota, "code"> & { readonly service: string }, call: Call) =>
  `arn:aws:servicequotas:${call.region}:${call.account}:${service}/${code}`

const listServices: Handler<"ListServices"> = async (input) => {
  const all = Object.entries(serviceNames).map(([ServiceCode, ServiceName]) => ({ ServiceCode, ServiceName }))
  const { some, more } = page(all, input, "ListServices")
  return { Services: [...some], ...more }
}

const listServiceQuotas: Handler<"ListServiceQuotas"> = async (input, call) => {
  const service = checkService(input.ServiceCode)
  const all = (await quotasOf(call)).filter(
    (quota) => quota.service === service && (input.QuotaCode === undefined || quota.code === input.QuotaCode),
  )
  const { some, more } = page(all, input, "ListServiceQuotas", service, input.QuotaCode ?? "")
  return { Quotas: some.map((quota) => toQuota(quota, quota.value, call)), ...more }
}

const listDefaults: Handler<"ListAWSDefaultServiceQuotas"> = async (input, call) => {
  const service = checkService(input.ServiceCode)
  const all = (await quotasOf(call)).filter((quota) => quota.service === service)
  const { some, more } = page(all, input, "ListAWSDefaultServiceQuotas", service)
  return { Quotas: some.map((quota) => toQuota(quota, quota.usual, call)), ...more }
}

const getServiceQuota: Handler<"GetServiceQuota"> = async (input, call) => {
  const quota = await find(call, input.ServiceCode, input.QuotaCode)
  return { Quota: toQuota(quota, quota.value, call) }
}

const getDefault: Handler<"GetAWSDefaultServiceQuota"> = async (input, call) => {
  const quota = await find(call, input.ServiceCode, input.QuotaCode)
  return { Quota: toQuota(quota, quota.usual, call) }
}

const largest = 1_000_000

/** RequestServiceQuotaIncrease. On sim it is felt at once; on real machines it waits for the operator's --vcpu-limit. */
const requestIncrease: Handler<"RequestServiceQuotaIncrease"> = async (input, call) => {
  const quota = await find(call, input.ServiceCode, input.QuotaCode)
  const desired = input.DesiredValue ?? 0
  if (!quota.adjustable) throw illegal("This quota cannot be changed")
  if (!Number.isInteger(desired) || desired < 0 || desired > largest)
    throw illegal(`The desired value must be a whole number of at most ${largest}`)
  if (desired <= (quota.value ?? 0))
    throw illegal("You must provide a quota value greater than the current quota value")
  const earlier = await call.list(quotaRequestKind, "code", quota.code)
  if (earlier.some(({ record }) => !isGiven(record, quota))) throw raise("ResourceAlreadyExistsException")
  const { service, code, name } = quota
  const requester = call.info.caller.arn
  const request = call.draft.create(
    quotaRequestKind,
    { service, code, name, desired, requester, createdMs: call.nowMs, tags: [] },
    randomBytes(20).toString("hex"),
  )
  const isSim = call.cloud.settings.engine === "sim"
  if (isSim) await changeSettings(call, (now) => ({ ...now, quotas: { ...now.quotas, [code]: desired } }))
  await call.commit()
  return { RequestedQuota: toRequest(request, { ...quota, value: isSim ? desired : quota.value }, call) }
}

const illegal = (detail: string) => raise("IllegalArgumentException", { detail })

const isGiven = ({ desired }: QuotaRequestRecord, { value }: Quota) => value !== undefined && value >= desired

function toRequest({ id, record }: Resource<QuotaRequestRecord>, quota: Quota | undefined, call: Call) {
  // A quota that is gone is one without a limit.
  const status: "APPROVED" | "PENDING" = quota === undefined || isGiven(record, quota) ? "APPROVED" : "PENDING"
  return {
    Id: id,
    ServiceCode: record.service,
    ServiceName: serviceNames[checkService(record.service)],
    QuotaCode: record.code,
    QuotaName: record.name,
    DesiredValue: record.desired,
    Status: status,
    Created: new Date(record.createdMs),
    LastUpdated: new Date(record.createdMs),
    Requester: JSON.stringify({ accountId: call.account, callerArn: record.requester }),
    QuotaArn: arnOf(record, call),
    GlobalQuota: false,
    Unit: "None",
    QuotaRequestedAtLevel: "ACCOUNT" as const,
  }
}

const getRequested: Handler<"GetRequestedServiceQuotaChange"> = async ({ RequestId = "" }, call) => {
  const request = await call.find(quotaRequestKind, RequestId)
  if (request === undefined) throw raise("NoSuchResourceException", { what: "request" })
  const quota = (await quotasOf(call)).find(({ code }) => code === request.record.code)
  return { RequestedQuota: toRequest(request, quota, call) }
}

const listRequested: Handler<"ListRequestedServiceQuotaChangeHistory"> = async (input, call) => {
  const services = input.ServiceCode === undefined ? Object.keys(serviceNames) : [checkService(input.ServiceCode)]
  const quotas = new Map((await quotasOf(call)).map((quota) => [quota.code, quota]))
  const all = (await call.list(quotaRequestKind, "service", ...services))
    .map((request) => toRequest(request, quotas.get(request.record.code), call))
    .filter(({ Status }) => input.Status === undefined || input.Status === Status)
  const { some, more } = page(all, input, "ListRequestedServiceQuotaChangeHistory", services, input.Status ?? "")
  return { RequestedQuotas: [...some], ...more }
}

export const handlers = {
  GetAWSDefaultServiceQuota: pure(getDefault),
  GetRequestedServiceQuotaChange: pure(getRequested),
  GetServiceQuota: pure(getServiceQuota),
  ListAWSDefaultServiceQuotas: pure(listDefaults),
  ListRequestedServiceQuotaChangeHistory: pure(listRequested),
  ListServiceQuotas: pure(listServiceQuotas),
  ListServices: pure(listServices),
  RequestServiceQuotaIncrease: requestIncrease,
} satisfies HandlersOf<typeof SDK>

export function createService(cloud: Cloud): Dispatcher {
  return createDispatcher(cloud, handlers)
}
