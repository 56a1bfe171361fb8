/** DescribeSecurityGroupRules. Rules live in their groups, so this pages over groups and cuts inside them. */
import { createHash } from "node:crypto"
import type { Call } from "#cloud/call.ts"
import { type Filter, filterList } from "#cloud/resources/describe.ts"
import { fromStored, type Resource } from "#cloud/resources/kind.ts"
import { hasWildcard } from "#cloud/resources/match.ts"
import { raise } from "../errors.ts"
import type { Handler } from "../handler.ts"
import { showRule } from "./answer.ts"
import { type RuleRecord, type SecurityGroupRecord, securityGroupKind } from "./record.ts"
import { requireRuleId } from "./rule-ids.ts"

interface Row {
  readonly group: Resource<SecurityGroupRecord>
  readonly rule: RuleRecord
}

const filterNames = ["group-id", "security-group-rule-id"]
const [minResults, maxResults] = [5, 1000]

/**
 * DescribeSecurityGroupRules, 5 to 1,000 a page. A page may be short, even empty, and still have a NextToken.
 * InvalidSecurityGroupRuleId.Malformed and .NotFound.
 */
export const describeSecurityGroupRules: Handler<"DescribeSecurityGroupRules"> = async (input, call) => {
  const ids = [...new Set(input.SecurityGroupRuleIds)]
  const limit = readLimit(input.MaxResults)
  if (ids.length > 0) {
    if (input.MaxResults !== undefined)
      throw raise("InvalidParameterCombination", {
        detail: "The parameter securityGroupRuleIds cannot be used with the parameter maxResults",
      })
    return { SecurityGroupRules: keep(await rowsOf(call, ids), input.Filters).map(show) }
  }
  const mark = createHash("sha256")
    .update(JSON.stringify([call.account, call.region, input.Filters]))
    .digest("base64url")
    .slice(0, 16)
  const start = readToken(input.NextToken, mark)
  // Validates the filters before anything is read.
  keep([], input.Filters)
  const page = await call.store.query({
    kind: securityGroupKind.name,
    accounts: [call.account],
    regions: [call.region],
    facets: groupFacets(input.Filters ?? []),
    limit,
    ...(start === undefined ? {} : { after: start.sequence - 1 }),
  })
  const groups = page.items.map((stored) => fromStored<SecurityGroupRecord>(stored))
  const rows = keep(
    groups.flatMap(toRows).filter(({ group, rule }) => !isBefore(group.sequence, rule.id, start)),
    input.Filters,
  )
  const shown = rows.slice(0, limit)
  return { SecurityGroupRules: shown.map(show), ...nextToken(rows, shown, groups, page.next !== undefined, mark) }
}

const show = ({ group, rule }: Row) => showRule(group, rule)

/** In the order of their ids, so that a page can go on after a rule that was revoked meanwhile. */
const toRows = (group: Resource<SecurityGroupRecord>): readonly Row[] =>
  group.record.rules.toSorted((a, b) => (a.id < b.id ? -1 : 1)).map((rule) => ({ group, rule }))

function readLimit(given: number | undefined): number {
  if (given === undefined) return maxResults
  if (given >= minResults && given <= maxResults) return given
  const bound = given < minResults ? `greater than ${minResults}` : `less than ${maxResults}`
  throw raise("InvalidParameterValue", {
    detail: `Value ( ${given} ) for parameter maxResults is invalid. Expecting a value ${bound}.`,
  })
}

function keep(rows: readonly Row[], filters: readonly Filter[] | undefined): readonly Row[] {
  return filterList(rows, filters, filterNames, ({ group, rule }, name) => {
    if (name === "group-id") return [group.id]
    if (name === "security-group-rule-id") return [rule.id]
    if (name === "tag-key") return rule.tags.map((tag) => tag.key)
    return rule.tags.filter((tag) => `tag:${tag.key}` === name).map((tag) => tag.value)
  })
}

/** Both documented filters are facets of groups too: they spare reading groups that have no rule to show. */
function groupFacets(filters: readonly Filter[]) {
  return filters
    .filter((filter) => filterNames.includes(filter.Name ?? ""))
    .map(({ Name = "", Values = [] }) => ({ name: Name, values: Values, wildcards: Values.some(hasWildcard) }))
}

async function rowsOf(call: Call, ids: readonly string[]): Promise<readonly Row[]> {
  for (const id of ids) requireRuleId(id)
  if (ids.length > maxResults)
    throw raise("InvalidParameterValue", { detail: `At most ${maxResults} security group rule IDs can be given` })
  const groups = await call.list(securityGroupKind, "security-group-rule-id", ...ids)
  const rows = new Map(groups.flatMap(toRows).map((row) => [row.rule.id, row]))
  return ids.map((id) => {
    const row = rows.get(id)
    if (row === undefined) throw raise("InvalidSecurityGroupRuleId.NotFound", { id })
    return row
  })
}

interface Position {
  /** Of the group at which the page starts, and the last of its rules that was passed ("" if none was). */
  readonly sequence: number
  readonly rule: string
}

const isBefore = (sequence: number, rule: string, start: Position | undefined) =>
  start !== undefined && sequence === start.sequence && rule <= start.rule

function nextToken(
  rows: readonly Row[],
  shown: readonly Row[],
  groups: readonly Resource<SecurityGroupRecord>[],
  more: boolean,
  mark: string,
): { NextToken?: string } {
  const lastRow = shown.at(-1)
  const lastGroup = groups.at(-1)
  if (rows.length > shown.length && lastRow !== undefined)
    return { NextToken: writeToken({ sequence: lastRow.group.sequence, rule: lastRow.rule.id }, mark) }
  if (more && lastGroup !== undefined)
    return { NextToken: writeToken({ sequence: lastGroup.sequence + 1, rule: "" }, mark) }
  return {}
}

function writeToken({ sequence, rule }: Position, mark: string): string {
  return Buffer.from(`${sequence}.${rule}.${mark}`).toString("base64url")
}

function readToken(token: string | undefined, mark: string): Position | undefined {
  if (token === undefined || token === "") return undefined
  const [sequence = "", rule = "", found] = Buffer.from(token, "base64url").toString("latin1").split(".")
  if (found !== mark || !/^\d{1,15}$/.test(sequence)) throw raise("InvalidNextToken", { token })
  return { sequence: Number(sequence), rule }
}
