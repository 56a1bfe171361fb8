/** Values of any input, from the SDK's shapes: mostly sensible, and then made wrong in one or two places. */
import { microImage } from "#images/catalog.ts"
import type { Shape } from "#wire/schema/shape.ts"
import { hostile } from "./mutate.ts"
import type { Random } from "./random.ts"

/** What a value is before a protocol writes it: plain values, times as Date, bytes as Uint8Array. */
export type Tree = unknown
type Node = Record<string, Tree> | Tree[]

/** A member's name -> values that make sense for it. The first pattern that fits counts. */
const sensible: readonly (readonly [RegExp, readonly string[]])[] = [
  [/^Bucket$/, ["fuzz-a", "fuzz-b", "fuzz-c", "no-such-bucket"]],
  [/^(Key|Prefix|StartAfter|KeyMarker|Marker)$/, ["a", "b/c", "b/c/d", "é ü/+%25", "none"]],
  [/^CopySource$/, ["fuzz-a/a", "/fuzz-a/b/c", "fuzz-b/none"]],
  [/^UploadId/, ["0123456789abcdef0123456789abcdef", "x"]],
  [/^EncodingType$/, ["url"]],
  [/^Range$/, ["bytes=0-1", "bytes=-1", "bytes=5-", "bytes=9-1"]],
  [/^If(None)?Match$/, ["*", '"d41d8cd98f00b204e9800998ecf8427e"']],
  [/^Checksum(CRC|SHA)|^ContentMD5$/, ["AAAAAA==", "1B2M2Y8AsgTpgAmY7PhCfg=="]],
  [/^ChecksumAlgorithm$/, ["CRC32", "SHA256", "CRC64NVME"]],
  [/^Delimiter$/, ["/"]],
  [/^Tagging$/, ["a=b&c=d", "a", "a=b&a=c"]],
  [/^Names?$|^Path$/, ["/aws/service/debian/release/12/latest/amd64", "/aws/service", "a"]],
  [/^ServiceCode$/, ["ec2", "s3"]],
  [/^QuotaCode$/, ["L-1216C47A", "L-0"]],
  [/^ResourceARN/, ["arn:aws:ec2:us-east-1:123456789012:instance/i-00000000", "arn:aws:s3:::fuzz-a"]],
  [/^ResourceTypeFilters$/, ["ec2:instance", "s3"]],
  [/^AttributeKey$/, ["EventName", "ReadOnly", "ResourceName"]],
  [/^MaxResults$|^MaxItems$|^MaxKeys$/, ["1", "10", "50"]],
  [/Token$|Marker$/, ["bm90aGluZw", "token-1"]],
  [/Id$/, [microImage.id, "fuzz-1", "i-00000000"]],
]
const words = ["a", "fuzz-1", "/aws/service", "x".repeat(64), "two words"]
const deepest = 6

/** A value of the shape, with about one of the members that may be left out. */
export function treeOf(shape: Shape, random: Random, member = "", depth = 0): Tree {
  switch (shape.kind) {
    case "struct": {
      const tree: Record<string, Tree> = {}
      const all = shape.members()
      const members = shape.isUnion ? [random.pick(all)] : all
      for (const each of members)
        if (each.required || (depth < deepest && random.once(Math.max(2, members.length / 2))))
          tree[each.name] = treeOf(each.shape, random, each.name, depth + 1)
      return tree
    }
    case "list":
      return Array.from({ length: depth > deepest ? 0 : 1 + random.below(2) }, () =>
        treeOf(shape.element(), random, member, depth + 1),
      )
    case "map":
      return { [random.pick(words)]: treeOf(shape.value(), random, member, depth + 1) }
    case "boolean":
      return random.once(2)
    case "number":
      return random.once(3) ? random.below(2000) : Number(random.pick(["1", "5", "10"]))
    case "timestamp":
      return new Date(1.7e12 + random.below(1e9))
    case "blob":
      return new Uint8Array(Buffer.from(random.pick(words)))
    case "string":
      return random.pick(sensible.find(([pattern]) => pattern.test(member))?.[1] ?? words)
    default:
      return {}
  }
}

const wrongTypes: readonly ((random: Random) => Tree)[] = [
  () => null,
  () => true,
  () => -1,
  () => 2 ** 53,
  () => 1e308,
  () => -0.5,
  () => [],
  () => ({}),
  () => "",
  () => new Date(8.64e15),
  () => new Uint8Array(3),
  () => ["a", null, 1, {}],
  () => ({ constructor: 1, toString: "x", length: 5 }),
  () => JSON.parse('{"__proto__": {"a": 1}}') as Tree,
  () => Array.from({ length: 2000 }, String),
  () => Object.fromEntries(Array.from({ length: 500 }, (_, index) => [`k${index}`, index])),
  (random) => nested(10 + random.below(200), random.once(2)),
]

function nested(depth: number, inLists: boolean): Tree {
  let tree: Tree = "deep"
  for (let level = 0; level < depth; level++) tree = inLists ? [tree] : { a: tree }
  return tree
}

/** The tree with one or two things wrong, changed in place; one in four stays as it was. */
export function spoil(tree: Tree, random: Random): Tree {
  if (random.once(4)) return tree
  let spoilt = tree
  for (let count = random.once(3) ? 2 : 1; count > 0; count--) spoilt = spoilOnce(spoilt, random)
  return spoilt
}

function spoilOnce(root: Tree, random: Random): Tree {
  const nodes: Node[] = []
  collect(root, nodes)
  if (nodes.length === 0 || random.once(60)) return random.pick(wrongTypes)(random)
  const node = random.pick(nodes)
  const keys = Object.keys(node)
  const key = keys.length === 0 ? "fuzz" : random.pick(keys)
  const put = (name: string, value: Tree) =>
    Object.defineProperty(node, name, { value, writable: true, enumerable: true, configurable: true })
  const choice = random.below(8)
  // A name that is a number would make an array of its length.
  if (choice === 0 && Array.isArray(node)) node.push(random.pick(hostile))
  else if (choice === 0) put(random.pick(hostile).slice(0, 300), random.pick(hostile))
  else if (choice === 1 && keys.length > 0 && !Array.isArray(node)) delete node[key]
  else if (choice === 2) put(key, random.pick(wrongTypes)(random))
  else if (choice === 3) put(key, textOf(Reflect.get(node, key)) + random.pick(hostile))
  else put(key, random.pick(hostile))
  return root
}

/** A value as text, whatever it is. */
export function textOf(tree: Tree): string {
  if (tree instanceof Date) return Number.isNaN(tree.getTime()) ? "" : tree.toISOString()
  if (tree instanceof Uint8Array) return Buffer.from(tree).toString("base64")
  return typeof tree === "object" && tree !== null ? JSON.stringify(tree) : String(tree)
}

function collect(tree: Tree, nodes: Node[]): void {
  if (typeof tree !== "object" || tree === null || tree instanceof Date || tree instanceof Uint8Array) return
  nodes.push(tree as Node)
  for (const child of Object.values(tree)) collect(child, nodes)
}
