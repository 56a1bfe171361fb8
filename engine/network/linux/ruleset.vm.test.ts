/** A change must leave the kernel with the very table that a whole replacement would, whatever came before. */
import assert from "node:assert/strict"
import { test } from "node:test"
import type { NetworkSpec, Rule } from "../types.ts"
import { filtersOf } from "./filters.ts"
import { group, network, port, publicCidr } from "./lab.ts"
import { run } from "./command.ts"
import { namesOf } from "./names.ts"
import { deleteNamespace, inside, ip, nft } from "./namespaces.ts"
import { changeTransaction, wholeTransaction } from "./ruleset.ts"

/** The table as nft lists it, without handles and without order where it has no meaning. */
async function listed(namespace: string): Promise<string[]> {
  const text = await run([...inside(namespace), "nft", "-j", "list", "table", "inet", "fractus"])
  const sorted = (_key: string, value: unknown): unknown =>
    Array.isArray(value) &&
    value.every(
      (item) =>
        Array.isArray(item) || typeof item === "string" || (item && typeof item === "object" && "concat" in item),
    )
      ? value.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))
      : value
  const { nftables }: { nftables: object[] } = JSON.parse(text)
  const bare = nftables.map((item) => JSON.stringify(item, sorted).replaceAll(/"(handle|index)": ?[0-9]+,?/g, ""))
  const rules = bare.filter((line) => line.startsWith('{"rule"'))
  const chainOf = (line: string) => /"chain":"([^"]*)"/.exec(line)?.[1] ?? ""
  // Rules keep their order within a chain.
  const grouped = rules
    .map((line, at) => [chainOf(line), at, line] as const)
    .toSorted((a, b) => (a[0] === b[0] ? a[1] - b[1] : a[0] < b[0] ? -1 : 1))
  return [...bare.filter((line) => !line.startsWith('{"rule"')).toSorted(), ...grouped.map(([, , line]) => line)]
}

function random(seed: number): (below: number) => number {
  let state = seed
  return (below) => (state = (state * 1_103_515_245 + 12_345) & 0x7fffffff) % below
}

function someSpec(next: (below: number) => number): NetworkSpec {
  const ids = ["sg-a", "sg-b", "sg-c", "sg-d"].filter(() => next(4) > 0)
  const pick = (from: readonly string[]) => from.filter(() => next(3) === 0)
  const rule = (): Rule => ({
    protocol: (["tcp", "udp", "icmp", "-1", "50"] as const)[next(5)] ?? "tcp",
    ...(next(2) === 0 ? {} : { fromPort: 1 + next(100), toPort: 101 + next(100) }),
    cidrs: pick(["10.0.0.0/8", "10.1.0.0/16", "0.0.0.0/0", "192.0.2.0/24", "192.0.2.7/32"]),
    cidrs6: [],
    groups: pick(["sg-a", "sg-b", "sg-c", "sg-d"]),
  })
  const rules = () => Array.from({ length: next(4) }, rule)
  const ports = [1, 2, 3, 4, 5, 6]
    .filter(() => next(3) > 0)
    .map((number) => {
      const publicAddress = next(2) === 0 ? {} : { publicAddress: `198.18.0.${10 * (1 + next(2)) + number}` }
      return port(number, pick(ids), { checkSource: next(3) > 0, ...publicAddress })
    })
  return network(
    1,
    ids.map((id) => group(id, rules(), rules())),
    ports,
    next(5) > 0,
  )
}

const withRulesOf = (other: NetworkSpec, { groups }: NetworkSpec) =>
  groups.map(({ id, ...rules }, at) => ({ ...rules, ...other.groups[at], id }))

test("40 random changes give the same tables as 40 replacements", async (t) => {
  const prefix = `u${(process.pid % 1296).toString(36).padStart(2, "0")}`
  const [changed, replaced] = [`${prefix}-changed`, `${prefix}-replaced`]
  const seed = Number(process.env["SEED"] ?? 7)
  t.diagnostic(`SEED=${seed}`)
  try {
    await ip(undefined, "netns", "add", changed)
    await ip(undefined, "netns", "add", replaced)
    const names = namesOf("fr0")
    const next = random(seed)
    let spec = someSpec(next)
    let before = filtersOf(spec, names, publicCidr)
    await nft(changed, wholeTransaction(before))
    for (let round = 0; round < 40; round++) {
      const last = { spec, rules: before }
      // Every other time only rules of groups change.
      const other = someSpec(next)
      spec = round % 2 === 0 ? other : { ...spec, groups: withRulesOf(other, spec) }
      const after = filtersOf(spec, names, publicCidr, last)
      assert.deepEqual(
        after,
        filtersOf(spec, names, publicCidr),
        `round ${round}: what was kept is what would be built`,
      )
      await nft(changed, changeTransaction(before, after))
      await nft(replaced, wholeTransaction(after))
      assert.deepEqual(await listed(changed), await listed(replaced), `round ${round}`)
      assert.equal(changeTransaction(after, after), "")
      before = after
    }
  } finally {
    await deleteNamespace(changed)
    await deleteNamespace(replaced)
  }
})
