import assert from "node:assert/strict"
import { createPrivateKey, createPublicKey, sign, verify } from "node:crypto"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer, type Socket } from "node:net"
import { tmpdir } from "node:os"
import path from "node:path"
import { type TestContext, test } from "node:test"
import { NotPersonalised } from "../../types.ts"
import { connectAgent, type FullIdentity, identityMessage, isTellable } from "./agent.ts"

const identity: FullIdentity = {
  hostName: "ip-10-0-0-5",
  authorizedKey: "ssh-ed25519 AAAA test",
  address: "10.0.0.5",
  prefixLength: 20,
  gateway: "10.0.0.1",
  resolver: "nameserver 10.0.0.2\n",
  userData: Buffer.from([0, 10, 255]),
  instance: "i-1",
  uuid: "ec2c0de0-0000-4000-8000-000000000001",
  mac: "02:00:00:00:00:01",
}

/** The fields of a message, as the agent reads them. */
function fieldsOf(message: Buffer): Map<string, Buffer> {
  const [, size] = /^identity 1 (\d+)\n/.exec(message.toString("latin1", 0, 40)) ?? assert.fail("no head")
  let rest = message.subarray(message.indexOf(10) + 1)
  assert.equal(rest.length, Number(size))
  const fields = new Map<string, Buffer>()
  while (rest.length > 0) {
    const end = rest.indexOf(10)
    const [name = "", length] = rest.toString("latin1", 0, end).split(" ")
    fields.set(name, rest.subarray(end + 1, end + 1 + Number(length)))
    assert.equal(rest[end + 1 + Number(length)], 10)
    rest = rest.subarray(end + 2 + Number(length))
  }
  return fields
}

test("an identity has a host key of its own that works, a seed of its own, and every byte of user-data", () => {
  const [one, two] = [fieldsOf(identityMessage(identity, 1.5)), fieldsOf(identityMessage(identity, 1.5))]
  for (const name of ["seed", "host-key"]) assert.notDeepEqual(one.get(name), two.get(name), name)
  assert.deepEqual(one.get("machine-id"), two.get("machine-id"))
  assert.deepEqual([...(one.get("user-data") ?? [])], [0, 10, 255])
  assert.equal(one.get("time-ns")?.toString(), "1500000")
  const key = one.get("host-key")!
  const [d, x] = [key.subarray(0, 32).toString("base64url"), key.subarray(32).toString("base64url")]
  const privateKey = createPrivateKey({ format: "jwk", key: { kty: "OKP", crv: "Ed25519", d, x } })
  const publicKey = createPublicKey({ format: "jwk", key: { kty: "OKP", crv: "Ed25519", x } })
  assert.ok(verify(null, Buffer.from("text"), publicKey, sign(null, Buffer.from("text"), privateKey)))
})

test("what an agent does not take is not told", () => {
  assert.ok(isTellable(identity))
  for (const change of [
    { hostName: "x".repeat(65) },
    { authorizedKey: "ssh-ed25519 AAAA\nssh-ed25519 BBBB" },
    { gateway: "fe80::1" },
    { prefixLength: 33 },
    { resolver: "\0" },
    { userData: Buffer.alloc(16_385) },
  ])
    assert.ok(!isTellable({ ...identity, ...change }), JSON.stringify(change).slice(0, 80))
})

/** An agent's end that does as told with whoever connects. */
async function guest(context: TestContext, act: (socket: Socket) => void): Promise<string> {
  const folder = mkdtempSync(path.join(tmpdir(), "fr-agent-"))
  const file = path.join(folder, "sock")
  const server = createServer((socket) => act(socket.on("error", () => {})))
  await new Promise<void>((resolve) => server.listen(file, resolve))
  context.after(() => {
    server.close()
    rmSync(folder, { recursive: true })
  })
  return file
}

const answers: readonly (readonly [string, (socket: Socket) => void, RegExp])[] = [
  ["nothing", () => {}, /silent for 200 ms/],
  ["garbage", (socket) => socket.write("\u001b[2Jlet me in\n"), /the agent says: {2}?\[2Jlet me in/],
  ["ready twice", (socket) => socket.write("ready\nready\n"), /the agent says: ready ready/],
  ["a refusal", (socket) => socket.write("refused clock: Invalid argument\n"), /refused clock: Invalid argument/],
  ["a flood", (socket) => socket.write("ready".repeat(1000)), /the agent/],
  ["its end", (socket) => socket.destroy(), /its machine is gone|the agent/],
]
for (const [name, act, reason] of answers) {
  test(`an agent that answers ${name} is not believed`, async (context) => {
    const agent = await connectAgent(await guest(context, act))
    await assert.rejects(agent.tell(identity, { wallMs: () => 0 }, 200), (error) => {
      assert.ok(error instanceof NotPersonalised)
      assert.match(error.message, reason)
      return true
    })
    agent.close()
  })
}

test("an agent that is ready hears what time it is and go, once its identity is whole with it", async (context) => {
  const parts: Buffer[] = []
  const done = Promise.withResolvers<void>()
  const file = await guest(context, (socket) => {
    socket.write("waiting 1\n")
    let ready = false
    socket.on("data", (part: Buffer) => {
      parts.push(part)
      if (!ready) socket.write("ready\n")
      ready = true
    })
    socket.on("end", () => done.resolve())
  })
  const agent = await connectAgent(file)
  await agent.waiting(1000)
  let nowMs = 0
  await agent.tell(identity, { wallMs: () => (nowMs += 10) }, 1000)
  await agent.go()
  await done.promise
  const heard = Buffer.concat(parts)
  const ending = "time 20000000 30000000\ngo\n"
  assert.equal(heard.toString("latin1").slice(-ending.length), ending)
  const fields = fieldsOf(heard.subarray(0, -ending.length))
  assert.equal(fields.get("instance")?.toString(), "i-1")
  assert.equal(fields.get("time-ns")?.toString(), "10000000")
})
