/** Account Management: which Regions an account uses. https://docs.aws.amazon.com/accounts/latest/reference/API_Operations.html */
import type * as SDK from "@aws-sdk/client-account"
import type { Cloud } from "#cloud/call.ts"
import { commonErrors, defineErrors } from "#cloud/errors.ts"
import { pageOf } from "#cloud/resources/describe.ts"
import { createDispatcher, type Dispatcher, pure } from "#cloud/service.ts"
import type { Operation } from "#wire/typed.ts"
import type { HandlerOf, HandlersOf } from "../handler.ts"
import { findRegion, type Region, regions } from "../ec2/regions/data.ts"
import { optedIn, setOptIn } from "../ec2/regions/opt-in.ts"

type Handler<O extends Operation<typeof SDK>> = HandlerOf<typeof SDK, O>

export const errors = {
  ...commonErrors,
  AccessDeniedException: [403, "The account {account} is not a member account of an organization of yours."],
  ValidationException: [400, "{detail}"],
} as const
const raise = defineErrors(errors)

const invalid = (detail: string) => raise("ValidationException", { detail })
/** Regions of one page of ListRegions, at most and unless fewer are asked for. */
const largestPage = 50

interface Named {
  readonly AccountId?: string | undefined
  readonly RegionName?: string | undefined
}

/** Only somebody who manages an organization may name accounts, and not the own one. */
function refuseOtherAccounts({ AccountId: account }: Pick<Named, "AccountId">): void {
  if (account === undefined) return
  throw raise("AccessDeniedException", { account })
}

function requireRegion({ RegionName: name }: Named): Region {
  const region = findRegion(name ?? "")
  if (region === undefined) throw invalid(`The Region name '${name ?? ""}' is not valid.`)
  return region
}

const statusOf = ({ needsOptIn, name }: Region, enabled: ReadonlySet<string>): SDK.RegionOptStatus =>
  needsOptIn ? (enabled.has(name) ? "ENABLED" : "DISABLED") : "ENABLED_BY_DEFAULT"

/** There is nothing to prepare here: a Region is enabled, or disabled, when the call is answered. */
const change =
  (enabled: boolean): Handler<"EnableRegion"> =>
  async (input, call) => {
    refuseOtherAccounts(input)
    const { name, needsOptIn } = requireRegion(input)
    if (!needsOptIn) throw invalid(`The Region '${name}' is enabled by default and cannot be enabled or disabled.`)
    call.authorize(enabled ? "account:EnableRegion" : "account:DisableRegion")
    if ((await optedIn(call.store, call.account)).has(name) !== enabled) await setOptIn(call, name, enabled)
    await call.commit()
    return {}
  }

const getRegionOptStatus: Handler<"GetRegionOptStatus"> = async (input, call) => {
  refuseOtherAccounts(input)
  const region = requireRegion(input)
  return { RegionName: region.name, RegionOptStatus: statusOf(region, await optedIn(call.store, call.account)) }
}

const listRegions: Handler<"ListRegions"> = async (input, call) => {
  refuseOtherAccounts(input)
  const { MaxResults: size = largestPage, NextToken: nextToken, RegionOptStatusContains: wanted = [] } = input
  const enabled = await optedIn(call.store, call.account)
  const all = regions
    .map((region) => ({ RegionName: region.name, RegionOptStatus: statusOf(region, enabled) }))
    .filter(({ RegionOptStatus: status }) => wanted.length === 0 || wanted.includes(status))
    .toSorted((a, b) => (a.RegionName < b.RegionName ? -1 : 1))
  const { items, nextToken: more } = page(all, { maxResults: size, nextToken }, wanted)
  return { Regions: [...items], ...(more === undefined ? {} : { NextToken: more }) }
}

function page<T>(items: readonly T[], asked: { maxResults: number; nextToken: string | undefined }, query: unknown) {
  try {
    return pageOf(items, { ...asked, bounds: [1, largestPage] }, "ListRegions", query)
  } catch {
    throw invalid("The NextToken is not valid, or was given for another list.")
  }
}

export const handlers = {
  DisableRegion: change(false),
  EnableRegion: change(true),
  GetRegionOptStatus: pure(getRegionOptStatus),
  ListRegions: pure(listRegions),
} satisfies HandlersOf<typeof SDK>

export function createService(cloud: Cloud): Dispatcher {
  return createDispatcher(cloud, handlers)
}
