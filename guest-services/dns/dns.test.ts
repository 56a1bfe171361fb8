/** The resolver on loopback, with an upstream of its own: guests are the addresses they ask from. */
import assert from "node:assert/strict"
import { createSocket, type Socket } from "node:dgram"
import { once } from "node:events"
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { connect } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, before, test } from "node:test"
import { decode, encode, type Packet, streamDecode, streamEncode } from "dns-packet"
import { systemClock } from "#lib/clock.ts"
import { openDocuments } from "../documents.ts"
import { onOnePort } from "../testing/one-port.ts"
import { type DnsServer, dnsServer } from "./server.ts"
import { upstreams } from "./whom-to-ask.ts"
import { poolOf } from "./zone.ts"

let directory: string
let server: DnsServer
let upstream: Socket
/** What the upstream server does with a query: by default it answers 192.0.2.7. */
let upstreamAnswers: (query: Buffer) => Buffer[]
const port = () => server.udp.address().port

const answered = (query: Buffer) => {
  const { id, questions = [] } = decode(query)
  const answers = questions.map(({ name }) => ({ type: "A" as const, name, data: "192.0.2.7" }))
  return encode({ type: "response", id: id ?? 0, questions, answers })
}

before(async () => {
  directory = await mkdtemp(join(tmpdir(), "fractus-dns-"))
  const document = {
    guest: "i-1",
    enabled: true,
    tokens: "optional",
    hopLimit: 1,
    tree: {},
    domainName: "ec2.internal",
    network: "vpc-1",
  }
  const irish = { ...document, domainName: "eu-west-1.compute.internal", network: "vpc-2" }
  const old = { ...document, network: undefined }
  await writeFile(join(directory, "127.0.0.2.json"), JSON.stringify(document))
  await writeFile(join(directory, "127.0.0.3.json"), JSON.stringify(irish))
  await writeFile(join(directory, "127.0.0.4.json"), JSON.stringify(old))
  const holders = (privateAddresses: Record<string, string>) => JSON.stringify({ privateAddresses })
  await writeFile(join(directory, "vpc-1.json"), holders({ "198.18.0.5": "172.31.0.11" }))
  await writeFile(join(directory, "vpc-2.json"), holders({ "198.18.0.6": "172.31.0.11" }))
  upstream = createSocket("udp4").bind(0, "127.0.0.1")
  await once(upstream, "listening")
  upstream.on("message", (query, { port }) => {
    for (const answer of upstreamAnswers(query)) upstream.send(answer, port, "127.0.0.1")
  })
  const clock = systemClock()
  server = await onOnePort(() =>
    dnsServer({
      documents: openDocuments(directory),
      clock,
      upstreams: upstreams(`127.0.0.1:${upstream.address().port}`, clock),
      publicCidr: "198.18.0.0/20",
    }),
  )
})
after(async () => {
  server.udp.close()
  server.tcp.close()
  upstream.close()
  await rm(directory, { recursive: true, force: true })
})

async function send(message: Buffer, from = "127.0.0.2", deadlineMs = 6000): Promise<Buffer> {
  const socket = createSocket("udp4").bind(0, from)
  try {
    await once(socket, "listening")
    socket.send(message, port(), "127.0.0.1")
    const [answer] = await once(socket, "message", { signal: AbortSignal.timeout(deadlineMs) })
    return answer
  } finally {
    socket.close()
  }
}

const query = (name: string, type: "A" | "AAAA" | "PTR" | "TXT" = "A") =>
  encode({ type: "query", id: 4321, flags: 0x100, questions: [{ type, name }] })
const ask = async (name: string, type: "A" | "AAAA" | "PTR" | "TXT" = "A", from?: string) =>
  decode(await send(query(name, type), from))
const dataOf = ({ answers = [] }: Packet) =>
  answers.map((answer) => (answer.type === "A" || answer.type === "PTR" ? answer.data : ""))
const rcodeOf = (answer: Packet) => (answer.flags ?? 0) & 15

/** While the guest's network says this besides. */
async function inNetwork(more: object, body: () => Promise<void>): Promise<void> {
  const path = join(directory, "vpc-1.json")
  const before = await readFile(path, "utf8")
  await writeFile(path, JSON.stringify({ ...JSON.parse(before), ...more }))
  await body().finally(() => writeFile(path, before))
}

test("private names, their reverse, and the metadata service's", async () => {
  upstreamAnswers = () => []
  assert.deepEqual(dataOf(await ask("ip-172-31-0-11.ec2.internal")), ["172.31.0.11"])
  assert.deepEqual(dataOf(await ask("IP-172-31-0-11.EC2.internal")), ["172.31.0.11"])
  assert.deepEqual(dataOf(await ask("11.0.31.172.in-addr.arpa", "PTR")), ["ip-172-31-0-11.ec2.internal"])
  assert.deepEqual(dataOf(await ask("instance-data")), ["169.254.169.254"])
  assert.deepEqual(dataOf(await ask("instance-data.ec2.internal")), ["169.254.169.254"])
  const six = await ask("ip-172-31-0-11.ec2.internal", "AAAA")
  assert.deepEqual([rcodeOf(six), dataOf(six)], [0, []], "the name is there, without an address of version 6")
  for (const name of ["nobody.ec2.internal", "ip-1-2-3-256.ec2.internal", "a.ip-1-2-3-4.ec2.internal"]) {
    assert.equal(rcodeOf(await ask(name)), 3, name)
  }
})

test("labels besides addresses, and what an address is called", async () => {
  upstreamAnswers = () => []
  const label = "i-0123456789abcdef0"
  const named = { names: { [label]: "172.31.0.11" }, hostNames: { "172.31.0.11": label } }
  await inNetwork(named, async () => {
    assert.deepEqual(dataOf(await ask(`${label}.ec2.internal`)), ["172.31.0.11"])
    assert.deepEqual(dataOf(await ask(`${label.toUpperCase()}.ec2.internal`)), ["172.31.0.11"])
    assert.deepEqual(dataOf(await ask("ip-172-31-0-11.ec2.internal")), ["172.31.0.11"])
    assert.deepEqual(dataOf(await ask("11.0.31.172.in-addr.arpa", "PTR")), [`${label}.ec2.internal`])
    assert.deepEqual(dataOf(await ask("12.0.31.172.in-addr.arpa", "PTR")), ["ip-172-31-0-12.ec2.internal"])
    for (const name of ["constructor", "i-0123456789abcdef1"])
      assert.equal(rcodeOf(await ask(`${name}.ec2.internal`)), 3)
  })
})

test("a network without names of its ports has the metadata service's and everybody else's", async () => {
  upstreamAnswers = (query) => [answered(query)]
  await inNetwork({ resolver: "no-port-names" }, async () => {
    assert.equal(rcodeOf(await ask("ip-172-31-0-11.ec2.internal")), 3)
    assert.deepEqual(dataOf(await ask("instance-data.ec2.internal")), ["169.254.169.254"])
    assert.deepEqual(dataOf(await ask("ec2-198-18-0-5.compute-1.amazonaws.com")), ["198.18.0.5"])
    assert.deepEqual(dataOf(await ask("example.com")), ["192.0.2.7"])
  })
  assert.deepEqual(dataOf(await ask("ec2-198-18-0-5.compute-1.amazonaws.com")), ["172.31.0.11"])
})

test("a network whose resolver is off hears nothing, while its neighbour is answered", async () => {
  upstreamAnswers = (query) => [answered(query)]
  await inNetwork({ resolver: "off" }, async () => {
    const silent = send(query("example.com"), "127.0.0.2", 1000).then(
      () => "answered",
      () => "silent",
    )
    assert.deepEqual(dataOf(await ask("example.com", "A", "127.0.0.3")), ["192.0.2.7"])
    assert.equal(await silent, "silent")
  })
})

test("other names come from upstream, under the guest's own id", async () => {
  upstreamAnswers = (query) => [answered(query)]
  const answer = await ask("example.com")
  assert.deepEqual([answer.id, dataOf(answer)], [4321, ["192.0.2.7"]])
})

test("an upstream's answer to something else is not passed on", async () => {
  upstreamAnswers = (query) => {
    const other = decode(query)
    const wrong = encode({ type: "response", id: other.id ?? 0, questions: [{ type: "A", name: "evil.example" }] })
    const wrongId = Buffer.from(answered(query))
    wrongId.writeUInt16BE((wrongId.readUInt16BE(0) + 1) & 0xffff, 0)
    return [wrong, wrongId, Buffer.from("x"), answered(query)]
  }
  assert.deepEqual(dataOf(await ask("example.com")), ["192.0.2.7"])
})

test("a silent upstream is SERVFAIL, a stranger REFUSED", async () => {
  upstreamAnswers = () => []
  assert.equal(rcodeOf(await ask("example.com")), 2)
  assert.equal(rcodeOf(await ask("example.com", "A", "127.0.0.9")), 5)
})

test("over TCP, several questions on one connection", async () => {
  const socket = connect({ host: "127.0.0.1", port: port(), localAddress: "127.0.0.2" })
  const packet = (name: string) => streamEncode({ type: "query", id: 7, questions: [{ type: "A", name }] })
  const both = Buffer.concat([packet("ip-10-0-0-1.ec2.internal"), packet("ip-10-0-0-2.ec2.internal")])
  for (const byte of [both.subarray(0, 5), both.subarray(5)]) socket.write(byte)
  let received = Buffer.alloc(0)
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    received = Buffer.concat([received, chunk])
    const length = received.readUInt16BE(0) + 2
    if (received.length < length * 2) continue
    const answers = [received.subarray(0, length), received.subarray(length)].map((part) => dataOf(streamDecode(part)))
    assert.deepEqual(answers, [["10.0.0.1"], ["10.0.0.2"]])
    break
  }
  socket.destroy()
})

test("an answer that is too large for the guest's packets says so, and is whole where it fits", async () => {
  const texts = Array.from({ length: 8 }, (_, index) => `${index}`.padEnd(200))
  upstreamAnswers = (query) => {
    const { id = 0, questions = [] } = decode(query)
    const answers = texts.map((data) => ({ type: "TXT" as const, name: "large.example", data }))
    return [encode({ type: "response", id, questions, answers })]
  }
  const asked: Packet = { type: "query", id: 9, questions: [{ type: "TXT", name: "large.example" }] }
  const small = decode(await send(encode(asked)))
  assert.deepEqual([small.flag_tc, small.answers, small.questions?.[0]?.name], [true, [], "large.example"])
  const options = { type: "OPT", name: ".", udpPayloadSize: 4096, extendedRcode: 0, ednsVersion: 0, flags: 0 } as const
  const large = decode(await send(encode({ ...asked, additionals: [{ ...options, flag_do: false, options: [] }] })))
  assert.deepEqual([large.flag_tc, large.answers?.length], [false, 8])
})

test("nonsense is answered with an error or with silence, and the next question well", async () => {
  upstreamAnswers = (query) => [answered(query)]
  const two = encode({
    type: "query",
    id: 1,
    questions: [
      { type: "A", name: "a.b" },
      { type: "A", name: "c.d" },
    ],
  })
  assert.equal(decode(await send(two)).flags! & 15, 1)
  const loop = Buffer.concat([query("a").subarray(0, 12), Buffer.from([0xc0, 12, 0, 1, 0, 1])])
  assert.equal((await send(loop)).readUInt16BE(2) & 15, 1)
  const update = Buffer.from(query("example.com"))
  update.writeUInt16BE(5 << 11, 2)
  assert.equal((await send(update)).readUInt16BE(2) & 15, 4)
  for (const silent of [Buffer.from("hello"), Buffer.alloc(3000), answered(query("example.com"))]) {
    await assert.rejects(send(silent, "127.0.0.2", 150), { name: "AbortError" })
  }
  // A seeded walk through broken messages: whatever comes, the server stands.
  const socket = createSocket("udp4").bind(0, "127.0.0.2")
  await once(socket, "listening")
  let seed = 42
  const next = (below: number) => (seed = (seed * 1_103_515_245 + 12_345) & 0x7fffffff) % below
  for (let round = 0; round < 20; round++) {
    // Few enough at a time that the kernel's queue holds them and the good question behind them.
    for (let count = 0; count < 25; count++) {
      const message = Buffer.from(query("ip-10-0-0-1.ec2.internal"))
      for (let change = 0; change < 3; change++) message[2 + next(message.length - 2)] = next(256)
      socket.send(message.subarray(0, 12 + next(message.length - 12)), port(), "127.0.0.1")
    }
    assert.deepEqual(dataOf(await ask("ip-10-0-0-1.ec2.internal")), ["10.0.0.1"])
  }
  socket.close()
})

test("a public name is the private address in its own network, the public one elsewhere", async () => {
  upstreamAnswers = (query) => [answered(query)]
  const [here, ireland] = ["compute-1.amazonaws.com", "eu-west-1.compute.amazonaws.com"]
  const ofName = async (name: string, from: string) => dataOf(await ask(name, "A", from))
  assert.deepEqual(await ofName(`ec2-198-18-0-5.${here}`, "127.0.0.2"), ["172.31.0.11"])
  assert.deepEqual(await ofName(`EC2-198-18-0-5.Compute-1.amazonaws.com`, "127.0.0.2"), ["172.31.0.11"])
  assert.deepEqual(await ofName(`ec2-198-18-0-5.${here}`, "127.0.0.3"), ["198.18.0.5"])
  assert.deepEqual(await ofName(`ec2-198-18-0-6.${ireland}`, "127.0.0.3"), ["172.31.0.11"])
  assert.deepEqual(await ofName(`ec2-198-18-0-6.${ireland}`, "127.0.0.2"), ["198.18.0.6"])
  assert.deepEqual(await ofName(`ec2-198-18-0-5.${here}`, "127.0.0.4"), ["198.18.0.5"], "a document of an older host")
  assert.deepEqual(await ofName(`ec2-198-18-0-7.${here}`, "127.0.0.2"), ["198.18.0.7"], "of nobody now")
  assert.deepEqual(await ofName(`ec2-198-18-0-5.${ireland}`, "127.0.0.2"), ["198.18.0.5"], "another region's domain")
  for (const foreign of [
    `ec2-198-18-16-5.${here}`,
    `ec2-54-1-2-3.${here}`,
    "ec2-198-18-0-5.example.com",
    `x.ec2-198-18-0-5.${here}`,
  ]) {
    assert.deepEqual(await ofName(foreign, "127.0.0.2"), ["192.0.2.7"], `${foreign} is asked upstream`)
  }
  const six = await ask(`ec2-198-18-0-5.${here}`, "AAAA")
  assert.deepEqual([rcodeOf(six), dataOf(six)], [0, []])
  assert.deepEqual(dataOf(await ask("5.0.18.198.in-addr.arpa", "PTR")), [`ec2-198-18-0-5.${here}`])
  const irish = await ask("6.0.18.198.in-addr.arpa", "PTR", "127.0.0.3")
  assert.deepEqual(dataOf(irish), [`ec2-198-18-0-6.${ireland}`])
})

test("a change of who holds an address is seen by the next question", async () => {
  const name = "ec2-198-18-0-9.compute-1.amazonaws.com"
  const path = join(directory, "vpc-1.json")
  const before = await readFile(path)
  assert.deepEqual(dataOf(await ask(name)), ["198.18.0.9"])
  await writeFile(path, JSON.stringify({ privateAddresses: { "198.18.0.9": "172.31.0.44" } }))
  assert.deepEqual(dataOf(await ask(name)), ["172.31.0.44"])
  await writeFile(path, "{")
  assert.deepEqual(dataOf(await ask(name)), ["198.18.0.9"], "half a document is none")
  await writeFile(path, before)
})

test("a pool is a range with its first address, or refused", () => {
  assert.deepEqual(poolOf("198.18.16.0/20"), { first: 3_323_072_512, last: 3_323_076_607 })
  assert.equal(poolOf(undefined), undefined)
  for (const wrong of ["198.18.0.1/20", "198.18.0.0", "198.18.0.0/33", "a/20", ""]) assert.throws(() => poolOf(wrong))
})
