/**
 * A table's content as named parts, and the nft transactions that make the kernel's table be so: whole, or only what
 * changed. With hundreds of ports a whole table takes a tenth of a second, one rule a few milliseconds.
 */

export interface NamedSet {
  /** "set" or "map", and its type as nft says it: "ifname : verdict", or "typeof iifname . @th,288,48". */
  readonly kind: "set" | "map"
  readonly type: string
  /** Key to value; the value is "" in a set. */
  readonly elements: ReadonlyMap<string, string>
}

export interface Chain {
  /** The hook of a base chain ("type filter hook forward priority filter; policy drop"), "" of any other. */
  readonly hook: string
  readonly rules: readonly string[]
}

export interface RuleSet {
  readonly table: string
  readonly sets: ReadonlyMap<string, NamedSet>
  readonly chains: ReadonlyMap<string, Chain>
}

const element = ([key, value]: readonly [string, string]) => (value === "" ? key : `${key} : ${value}`)

const typed = (type: string) => (type.startsWith("typeof ") ? type : `type ${type}`)

const setLines = (name: string, { kind, type, elements }: NamedSet): string[] => [
  `  ${kind} ${name} {`,
  `    ${typed(type)}`,
  ...(elements.size === 0 ? [] : [`    elements = { ${[...elements].map(element).join(", ")} }`]),
  "  }",
]

const chainLines = (name: string, { hook, rules }: Chain): string[] => [
  `  chain ${name} {`,
  ...[hook, ...rules].filter(Boolean).map((line) => `    ${line}`),
  "  }",
]

/** Replace the table, whatever it holds. */
export function wholeTransaction({ table, sets, chains }: RuleSet): string {
  return [
    `table ${table}`,
    `delete table ${table}`,
    `table ${table} {`,
    ...[...sets].flatMap(([name, set]) => setLines(name, set)),
    ...[...chains].flatMap(([name, chain]) => chainLines(name, chain)),
    "}",
    "",
  ].join("\n")
}

const entries = (elements: ReadonlyMap<string, string>, missingIn: ReadonlyMap<string, string>) =>
  [...elements].filter(([key, value]) => missingIn.get(key) !== value)

function elementLines(table: string, name: string, before: NamedSet | undefined, after: NamedSet) {
  if (before === after) return { removals: [], additions: [] }
  const old: ReadonlyMap<string, string> = before?.elements ?? new Map()
  const gone = entries(old, after.elements).map(([key]) => key)
  const come = entries(after.elements, old).map(element)
  return {
    removals: gone.length === 0 ? [] : [`delete element ${table} ${name} { ${gone.join(", ")} }`],
    additions: come.length === 0 ? [] : [`add element ${table} ${name} { ${come.join(", ")} }`],
  }
}

const sameRules = (a: Chain | undefined, b: Chain) =>
  a === b || (a !== undefined && a.rules.join("\n") === b.rules.join("\n"))

/** Turn `before` into `after` in one transaction; "" when they are the same. Types and hooks must be the same in both. */
export function changeTransaction(before: RuleSet, after: RuleSet): string {
  const { table } = after
  const newSets = [...after.sets].filter(([name]) => !before.sets.has(name))
  const newChains = [...after.chains.keys()].filter((name) => !before.chains.has(name))
  const goneChains = [...before.chains.keys()].filter((name) => !after.chains.has(name))
  const goneSets = [...before.sets].filter(([name]) => !after.sets.has(name))
  const changes = [...after.sets].map(([name, set]) => elementLines(table, name, before.sets.get(name), set))
  const rewritten = [...after.chains].filter(([name, chain]) => !sameRules(before.chains.get(name), chain))
  // References go before what they point to, and come after it.
  const lines = [
    ...newSets.map(([name, { kind, type }]) => `add ${kind} ${table} ${name} { ${typed(type)}; }`),
    ...newChains.map((name) => `add chain ${table} ${name}`),
    ...changes.flatMap(({ removals }) => removals),
    ...goneChains.map((name) => `flush chain ${table} ${name}`),
    ...rewritten.flatMap(([name, { rules }]) => [
      `flush chain ${table} ${name}`,
      ...rules.map((rule) => `add rule ${table} ${name} ${rule}`),
    ]),
    ...changes.flatMap(({ additions }) => additions),
    ...goneChains.map((name) => `delete chain ${table} ${name}`),
    ...goneSets.map(([name, { kind }]) => `delete ${kind} ${table} ${name}`),
  ]
  return lines.length === 0 ? "" : `${lines.join("\n")}\n`
}
