/** The metadata service over HTTP on loopback: a guest is the address it calls from (127.0.0.x). */
import assert from "node:assert/strict"
import { once } from "node:events"
import { mkdtemp, rename, rm, unlink, writeFile } from "node:fs/promises"
import { request } from "node:http"
import { type AddressInfo, connect } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, before, test } from "node:test"
import type { MetadataDocument } from "#host/protocol/types.ts"
import { systemClock } from "#lib/clock.ts"
import { openDocuments } from "../documents.ts"
import { hopLimiter } from "./hop-limit.ts"
import { metadataServer } from "./server.ts"
import { readTokenKey, tokensOf } from "./tokens.ts"

let directory: string
let server: ReturnType<typeof metadataServer>
let aheadMs = 0
const hops: number[] = []

const document = (more: Partial<MetadataDocument> = {}): MetadataDocument => ({
  guest: "i-1",
  enabled: true,
  tokens: "optional",
  hopLimit: 2,
  domainName: "ec2.internal",
  tree: {
    "meta-data/ami-id": "ami-1",
    "meta-data/public-keys/": "0=my-key",
    "meta-data/public-keys/0/openssh-key": "ssh-ed25519 AAAA",
    "meta-data/placement/availability-zone": "us-east-1a",
    "dynamic/instance-identity/document": "{}",
  },
  userData: Buffer.from("#!/bin/sh\n\xff", "latin1").toString("base64"),
  ...more,
})

async function put(address: string, content: MetadataDocument): Promise<void> {
  await writeFile(join(directory, "new"), JSON.stringify(content))
  await rename(join(directory, "new"), join(directory, `${address}.json`))
}

before(async () => {
  directory = await mkdtemp(join(tmpdir(), "fractus-metadata-"))
  const clock = { ...systemClock(), wallMs: () => Date.now() + aheadMs }
  const key = readTokenKey(directory)
  assert.deepEqual(readTokenKey(directory), key, "the next process has the same key")
  server = metadataServer({
    documents: openDocuments(directory),
    tokens: tokensOf(key, clock),
    clock,
    setHopLimit: (_socket, limit) => hops.push(limit),
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
})
after(async () => {
  server.closeAllConnections()
  server.close()
  await rm(directory, { recursive: true, force: true })
})

interface Answer {
  readonly status: number | undefined
  readonly headers: NodeJS.Dict<string | string[]>
  readonly body: Buffer
}

async function ask(
  path: string,
  more: { method?: string; headers?: NodeJS.Dict<string>; from?: string } = {},
): Promise<Answer> {
  const { port } = server.address() as AddressInfo
  const { method = "GET", from = "127.0.0.2" } = more
  const headers = { host: "169.254.169.254", ...more.headers }
  const call = request({ host: "127.0.0.1", port, path, method, localAddress: from, headers, agent: false }).end()
  const [response] = await once(call, "response")
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk)
  return { status: response.statusCode, headers: response.headers, body: Buffer.concat(chunks) }
}

const ttl = "x-aws-ec2-metadata-token-ttl-seconds"
const token = async (from = "127.0.0.2", seconds = "60") =>
  String((await ask("/latest/api/token", { method: "PUT", headers: { [ttl]: seconds }, from })).body)
const text = async (path: string) => {
  const answer = await ask(path)
  return answer.status === 200 ? answer.body.toString("latin1") : answer.status
}

test("the tree is listed and read as on AWS", async () => {
  await put("127.0.0.2", document())
  assert.match(String(await text("/")), /^1\.0\n2007-01-19\n[^]*\nlatest$/)
  assert.equal(await text("/latest/"), "dynamic\nmeta-data\nuser-data")
  assert.equal(await text("/latest"), "dynamic\nmeta-data\nuser-data")
  assert.equal(await text("/latest/meta-data/"), "ami-id\nplacement/\npublic-keys/")
  assert.equal(await text("/latest/meta-data"), "ami-id\nplacement/\npublic-keys/")
  assert.equal(await text("/2009-04-04/meta-data/ami-id"), "ami-1")
  assert.equal(await text("/latest//meta-data/ami-id?x=1"), "ami-1")
  assert.equal(await text("/latest/meta-data/public-keys/"), "0=my-key")
  assert.equal(await text("/latest/meta-data/public-keys/0/"), "openssh-key")
  assert.equal(await text("/latest/user-data"), "#!/bin/sh\n\xff")
  for (const path of [
    "/latest/meta-data/ami",
    "/latest/meta-data/ami-id/",
    "/1999-01-01/",
    "/latest/meta-data/__proto__",
    "/nope",
  ]) {
    assert.equal(await text(path), 404, path)
  }
  const head = await ask("/latest/meta-data/ami-id", { method: "HEAD" })
  assert.deepEqual([head.status, head.headers["content-length"], head.body.length], [200, "5", 0])
  assert.equal((await ask("/latest/meta-data/ami-id", { method: "POST" })).status, 405)
})

test("a new document is served at once, a removed one no more, a broken one not at all", async () => {
  await put("127.0.0.3", document({ tree: { "meta-data/ami-id": "ami-2" }, guest: "i-3" }))
  const get = async () => (await ask("/latest/meta-data/ami-id", { from: "127.0.0.3" })).body.toString()
  assert.equal(await get(), "ami-2")
  await put("127.0.0.3", document({ tree: { "meta-data/ami-id": "ami-3" }, guest: "i-3" }))
  assert.equal(await get(), "ami-3")
  await writeFile(join(directory, "127.0.0.3.json"), "{ half")
  assert.match(await get(), /404 - Not Found/)
  await unlink(join(directory, "127.0.0.3.json"))
  assert.equal((await ask("/latest/meta-data/", { from: "127.0.0.3" })).status, 404)
})

test("no user-data is 404, and is not listed", async () => {
  const { userData: _none, ...rest } = document({ guest: "i-4" })
  await put("127.0.0.4", rest)
  assert.equal((await ask("/latest/user-data", { from: "127.0.0.4" })).status, 404)
  assert.equal((await ask("/latest/", { from: "127.0.0.4" })).body.toString(), "dynamic\nmeta-data")
})

test("version 2: tokens for this guest, for their time, asked for properly", async () => {
  await put("127.0.0.2", document({ tokens: "required" }))
  await put("127.0.0.5", document({ tokens: "required", guest: "i-5" }))
  assert.equal(await text("/latest/meta-data/ami-id"), 401)
  const mine = await token()
  const get = async (value: string, from = "127.0.0.2") =>
    (await ask("/latest/meta-data/ami-id", { headers: { "x-aws-ec2-metadata-token": value }, from })).status
  assert.equal(await get(mine), 200)
  assert.equal(await get(mine, "127.0.0.5"), 401, "another guest's")
  assert.equal(await get(`${mine.slice(0, -1)}${mine.endsWith("A") ? "Q" : "A"}`), 401, "forged")
  assert.equal(await get("x".repeat(4000)), 401)
  assert.equal(hops.includes(2), true, "the answer's hop limit is the document's")
  aheadMs = 61_000
  assert.equal(await get(mine), 401, "expired")
  aheadMs = 0
  for (const seconds of ["0", "21601", "-1", "1.5", "", "x"]) {
    const answer = await ask("/latest/api/token", { method: "PUT", headers: { [ttl]: seconds } })
    assert.equal(answer.status, 400, `ttl ${seconds}`)
  }
  assert.equal((await ask("/latest/api/token", { method: "PUT" })).status, 400)
  assert.equal((await ask("/latest/api/token")).status, 405)
  const forwarded = { [ttl]: "60", "x-forwarded-for": "1.2.3.4" }
  assert.equal((await ask("/latest/api/token", { method: "PUT", headers: forwarded })).status, 403)
  await put("127.0.0.2", document())
  assert.equal(await get("nonsense"), 401, "a wrong token is refused also where none is needed")
})

test("what is there for some time only is listed, read line by line, and then gone", async () => {
  const path = "meta-data/managed-ssh-keys/active-keys/ec2-user"
  const untilMs = Date.now() + 60_000
  const temporary = [
    { path, text: "ssh-ed25519 AAAA", untilMs },
    { path, text: "ssh-rsa BBBB", untilMs: untilMs + 60_000 },
    { path: "meta-data/managed-ssh-keys/active-keys/root", text: "ssh-rsa CCCC", untilMs: Date.now() },
  ]
  await put("127.0.0.2", document({ temporary }))
  assert.equal(await text(`/latest/${path}`), "ssh-ed25519 AAAA\nssh-rsa BBBB")
  assert.equal(await text("/latest/meta-data/managed-ssh-keys/active-keys/"), "ec2-user")
  assert.equal(await text("/latest/meta-data/"), "ami-id\nmanaged-ssh-keys/\nplacement/\npublic-keys/")
  aheadMs = 60_001
  assert.equal(await text(`/latest/${path}`), "ssh-rsa BBBB")
  aheadMs = 120_001
  assert.equal(await text(`/latest/${path}`), 404)
  assert.equal(await text("/latest/meta-data/"), "ami-id\nplacement/\npublic-keys/")
  aheadMs = 0
  await put("127.0.0.2", document())
})

test("switched off is 403; strangers, other hosts' names and bodies are refused", async () => {
  await put("127.0.0.6", document({ enabled: false }))
  assert.equal((await ask("/latest/meta-data/", { from: "127.0.0.6" })).status, 403)
  assert.equal((await ask("/latest/meta-data/", { from: "127.0.0.99" })).status, 404)
  await put("127.0.0.2", document())
  for (const [host, status] of [
    ["evil.example", 400],
    ["instance-data", 200],
    ["instance-data.ec2.internal", 200],
    ["169.254.169.254:80", 200],
  ] as const) {
    assert.equal((await ask("/latest/meta-data/", { headers: { host } })).status, status, host)
  }
  assert.equal(
    (await ask("/latest/api/token", { method: "PUT", headers: { [ttl]: "60", "content-length": "100000" } })).status,
    413,
  )
  assert.equal(await text("/latest/%zz"), 400)
})

test("one guest cannot take all connections", async () => {
  const { port } = server.address() as AddressInfo
  const sockets = Array.from({ length: 80 }, () => connect({ host: "127.0.0.1", port, localAddress: "127.0.0.7" }))
  const closed = sockets.map((socket) =>
    once(
      socket.on("error", () => {}),
      "close",
    ),
  )
  await Promise.race(closed)
  assert.equal(await text("/latest/meta-data/ami-id"), "ami-1", "another is served meanwhile")
  for (const socket of sockets) socket.destroy()
  await Promise.all(closed)
})

test("the hop limit can be set on this Node, or says that it cannot", async () => {
  const said: string[] = []
  const limit = await hopLimiter((line) => said.push(line))
  assert.deepEqual(said, [])
  const socket = connect({ host: "127.0.0.1", port: (server.address() as AddressInfo).port })
  await once(socket, "connect")
  limit(socket, 1)
  limit(socket, 64)
  socket.destroy()
})
