/** What goes wrong with a request on its way, or on purpose. */
import type { Random } from "./random.ts"
import type { Known, Pair } from "./requests.ts"

type Mutation = (pairs: Pair[], random: Random, known: Known) => void

const numbers = [
  ..."0 -1 1 00 +1 1e3 0x10 1.5 NaN Infinity 1000 1001 10000 65536 2147483647 2147483648 4294967296".split(" "),
  ..."9007199254740993 99999999999999999999999999 -0 true TRUE null undefined [] {}".split(" "),
]
const names = "__proto__ constructor prototype toString hasOwnProperty valueOf * ? \\ % %00 ../../etc/passwd".split(" ")
const nobodys = [
  ..."i-0 i- i-00000000 i-0123456789abcdef0 I-0123456789ABCDEF0 sg-0123456789abcdef0 sgr-0123456789abcdef0".split(" "),
  ..."vol-0123456789abcdef0 eni-0123456789abcdef0 subnet-0123456789abcdef0 vpc-00000000 ami-00000000 key-0".split(" "),
]
const syntax = [
  ..."tag: tag:a tag:__proto__ tag-key aws:x default 999.1.1.1 10.0.0.0/33 10.0.0.1 ::1/129 -1 tcp".split(" "),
  ..."<a>&b;</a> ]]> &amp; {id} ${x} $& $1 '; 2026-13-45T99:99:99Z 0001-01-01".split(" "),
]
const letters = [
  ...Array.from("\u0000\u0001\u001f\u007f\n\r\t\uffff\u202eé日 "),
  ...Array.from({ length: 2 }, () => "😀e\u0301"),
  ...Array.of("", "\ud800", "a\udc00b", "'; drop table resource; --"),
]
const long = [300, 20_000].flatMap((length) => ["A", "é", "*", "\\"].map((letter) => letter.repeat(length)))
const userData = Buffer.alloc(16_385, 65).toString("base64")
/** Texts that are no good anywhere, or only in a place that expects them. */
export const hostile: readonly string[] = [...numbers, ...names, ...nobodys, ...syntax, ...letters, ...long, userData]
const segments = [..."__proto__ constructor 0 -1 01 1 2 99999999 item length é".split(" "), "", "A".repeat(300)]

const at = (pairs: readonly Pair[], random: Random) => random.below(pairs.length)
const set = (pairs: Pair[], index: number, name?: string, value?: string) => {
  const [oldName, oldValue] = pairs[index] as Pair
  pairs[index] = [name ?? oldName, value ?? oldValue]
}

const mutations: readonly Mutation[] = [
  (pairs, random) => void pairs.splice(at(pairs, random), 1),
  (pairs, random) => void pairs.push(random.pick(pairs)),
  (pairs, random) => void pairs.push([random.pick(pairs)[0], random.pick(hostile)]),
  (pairs, random) => set(pairs, at(pairs, random), undefined, random.pick(pairs)[1]),
  (pairs, random) => set(pairs, at(pairs, random), random.pick(pairs)[0]),
  ...Array.from<unknown, Mutation>(
    { length: 6 },
    () => (pairs, random) => set(pairs, at(pairs, random), undefined, random.pick(hostile)),
  ),
  (pairs, random, known) => set(pairs, at(pairs, random), undefined, random.pick(Object.values(known).flat())),
  (pairs, random) => {
    const index = at(pairs, random)
    const [name, value] = pairs[index] as Pair
    const cut = random.below(value.length + 1)
    set(pairs, index, name, value.slice(0, cut) + random.pick(hostile) + value.slice(cut + random.below(2)))
  },
  (pairs, random) => {
    const index = at(pairs, random)
    const parts = (pairs[index] as Pair)[0].split(".")
    parts.splice(random.below(parts.length + 1), random.below(2), random.pick(segments))
    set(pairs, index, parts.join("."))
  },
  (pairs, random) => void pairs.push([random.pick(segments), random.pick(hostile)]),
  (pairs, random) => {
    const deep = Array.from({ length: 1 + random.below(40) }, () => random.pick(segments)).join(".")
    pairs.push([`${random.pick(pairs)[0]}.${deep}`, random.pick(hostile)])
  },
  (pairs, random) => {
    const [name] = random.pick(pairs)
    const stem = name.replace(/\.\d+$/, "")
    for (let index = 1; index <= 300; index++) pairs.push([`${stem}.${index}`, random.pick(hostile).slice(0, 300)])
  },
]

/** A copy with one or two things wrong; one in four stays as it was. */
export function mutate(pairs: readonly Pair[], random: Random, known: Known): readonly Pair[] {
  const mutated = [...pairs]
  if (random.once(4)) return mutated
  for (let count = random.once(3) ? 2 : 1; count > 0; count--)
    if (mutated.length > 0) random.pick(mutations)(mutated, random, known)
    else mutated.push([random.pick(segments), random.pick(hostile)])
  return mutated
}

/** Bytes of a body changed where they stand. */
export function garble(body: string, random: Random): Buffer {
  const bytes = Buffer.from(body)
  for (let count = 1 + random.below(4); count > 0 && bytes.length > 0; count--)
    bytes[random.below(bytes.length)] = random.below(256)
  return bytes
}
