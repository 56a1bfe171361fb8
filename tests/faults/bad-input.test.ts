/** Requests that are wrong in one way each, to a daemon with authentication, and the answers AWS gives. Nothing of them has an effect. */
import assert from "node:assert/strict"
import { connect } from "node:net"
import { after, before, test } from "node:test"
import { microImage } from "#images/catalog.ts"
import { type SimDaemon, startSimDaemon } from "../rig/daemon.ts"
import { type Client, createClient, encode, type Parameters, readAnswer } from "./client.ts"
import { type Signing, signer } from "./sign.ts"
import { at, findAll, textAt } from "./xml.ts"

const form = "application/x-www-form-urlencoded"
const secret = "not/the/secret/of/anybody/0123456789abcd"
const launch = { ImageId: microImage.id, InstanceType: "t3.micro", MinCount: 1, MaxCount: 1 }

let daemon: SimDaemon
let client: Client
before(async () => {
  daemon = await startSimDaemon()
  client = clientOf()
})
after(async () => {
  const instances = findAll(await client.ok("DescribeInstances"), "instanceId")
  client.close()
  await daemon.stop()
  assert.equal(instances.length, 0, "a refused request launched something")
})

function clientOf(signing: Partial<Signing> = {}): Client {
  return createClient(daemon.endpoint, { sign: signer(daemon.endpoint, { ...daemon.credentials, ...signing }) })
}

const codeOf = async (action: string, parameters: Parameters, of = client) => (await of.call(action, parameters)).code

test("counts of a launch that cannot be are refused", async () => {
  const counts = [
    [0, 0, "InvalidParameterValue"],
    [0, 1, "InvalidParameterValue"],
    [1, 0, "InvalidParameterValue"],
    [-1, 1, "InvalidParameterValue"],
    [2, 1, "InvalidParameterCombination"],
    [10_000, 10_000, "InstanceLimitExceeded"],
    ["1.5", 2, "InvalidParameterValue"],
    ["2147483648", "2147483648", "InvalidParameterValue"],
    ["one", 1, "InvalidParameterValue"],
  ] as const
  for (const [MinCount, MaxCount, code] of counts)
    assert.equal(await codeOf("RunInstances", { ...launch, MinCount, MaxCount }), code, `${MinCount} to ${MaxCount}`)
  const { MinCount: _, ...noMinimum } = launch
  assert.equal(await codeOf("RunInstances", noMinimum), "MissingParameter")
})

test("user data over 16 KB or in no base64 is refused", async () => {
  const codes = [
    Buffer.alloc(16_385, 97).toString("base64"),
    "this is no base64!",
    "YWJj=ZGVm",
    "=",
    "YQ==".repeat(2),
    "\u00e9",
  ].map((UserData) => codeOf("RunInstances", { ...launch, UserData }))
  assert.deepEqual(new Set(await Promise.all(codes)), new Set(["InvalidParameterValue"]))
  assert.equal(
    await codeOf("RunInstances", { ...launch, UserData: Buffer.alloc(16_384, 97).toString("base64"), DryRun: true }),
    "DryRunOperation",
  )
})

test("parameters that are missing, unknown, given twice or of the wrong type are refused by name", async () => {
  const refused = async (action: string, parameters: Parameters, code: string, named: RegExp) => {
    const answer = await client.call(action, parameters)
    assert.equal(answer.code, code, answer.message)
    assert.match(answer.message, named)
    assert.equal(answer.status, 400)
  }
  await refused("TerminateInstances", {}, "MissingParameter", /InstanceId/)
  await refused(
    "CreateSecurityGroup",
    { GroupName: "no-description" },
    "MissingParameter",
    /GroupDescription|Description/,
  )
  await refused("DescribeInstances", { Instances: "x" }, "UnknownParameter", /Instances/)
  await refused("DescribeInstances", { "Filter.1.Nome": "x" }, "UnknownParameter", /Filter\.1\.Nome/)
  const twice = [
    ["MaxResults", "5"],
    ["MaxResults", "5"],
  ] as const
  await refused("DescribeInstances", twice, "InvalidQueryParameter", /MaxResults/)
  await refused("DescribeInstances", { MaxResults: "many" }, "InvalidParameterValue", /many/)
  await refused("DescribeInstances", { DryRun: "perhaps" }, "InvalidParameterValue", /perhaps/)
  await refused("DescribeInstances", { MaxResults: 4 }, "InvalidParameterValue", /maxResults/)
  await refused("DescribeInstances", { MaxResults: 1001 }, "InvalidParameterValue", /maxResults/)
  await refused("DescribeInstances", { NextToken: "bm90IG91cnM" }, "InvalidNextToken", /bm90IG91cnM/)
  await refused(
    "DescribeInstances",
    { "Filter.1.Name": "no-such", "Filter.1.Value.1": "x" },
    "InvalidParameterValue",
    /no-such/,
  )
  await refused("LaunchRockets", {}, "InvalidAction", /LaunchRockets/)
  await refused(
    "CreateVpcPeeringConnection",
    { VpcId: "vpc-01234567" },
    "UnsupportedOperation",
    /CreateVpcPeeringConnection/,
  )
})

test("who signs with a wrong secret, an unknown key, at a wrong time or not at all is nobody", async () => {
  const hour = 3_600_000
  const cases: readonly (readonly [string, Client, string])[] = [
    ["a wrong secret", clientOf({ secretAccessKey: secret }), "AuthFailure"],
    ["an unknown key", clientOf({ accessKeyId: "AKIAAAAAAAAAAAAAAAAA" }), "AuthFailure"],
    ["an hour ago", clientOf({ at: () => new Date(Date.now() - hour) }), "RequestExpired"],
    ["in an hour", clientOf({ at: () => new Date(Date.now() + hour) }), "RequestExpired"],
    [
      "no signature",
      createClient(daemon.endpoint, { sign: async () => ({ "content-type": form }) }),
      "MissingAuthenticationToken",
    ],
    ["half a signature", createClient(daemon.endpoint, { sign: halfSigned }), "IncompleteSignature"],
  ]
  for (const [what, who, code] of cases) {
    const answer = await who.call("RunInstances", launch)
    who.close()
    assert.equal(answer.code, code, what)
    assert.ok([400, 401, 403].includes(answer.status), `${what}: ${answer.status}`)
    assert.doesNotMatch(
      answer.message,
      new RegExp(daemon.credentials.secretAccessKey.replaceAll(/[+/]/g, String.raw`\$&`)),
    )
  }
  const body = encode([
    ["Action", "DescribeInstances"],
    ["Version", "2016-11-15"],
  ])
  const headers = await signer(daemon.endpoint, daemon.credentials)(body)
  const changed = await client.send({ headers, body: body.replace("DescribeInstances", "DescribeVpcs") })
  assert.equal(readAnswer(changed).code, "AuthFailure", "a body that was changed after it was signed")
})

async function halfSigned(body: string): Promise<Readonly<Record<string, string>>> {
  const headers = await signer(daemon.endpoint, daemon.credentials)(body)
  return { ...headers, authorization: String(headers["authorization"]).replace(/, Signature=.*/, "") }
}

test("a GET needs a signature as a POST does; other methods, paths and types are refused", async () => {
  const get = await client.send({ method: "GET", path: "/?Action=DescribeVpcs&Version=2016-11-15" })
  assert.equal(readAnswer(get).code, "MissingAuthenticationToken")
  const body = encode([
    ["Action", "DescribeVpcs"],
    ["Version", "2016-11-15"],
  ])
  const headers = await signer(daemon.endpoint, daemon.credentials)(body)
  assert.equal((await client.send({ method: "PUT", headers, body })).status, 405)
  assert.equal((await client.send({ path: "/latest/meta-data/", headers, body })).status, 404)
  const { "content-type": _, ...untyped } = headers
  assert.equal((await client.send({ headers: { ...untyped, "content-type": "text/plain" }, body })).status, 415)
})

test("other hosts' names and other sites' pages are refused before anything is read", async () => {
  const body = encode([
    ["Action", "DescribeVpcs"],
    ["Version", "2016-11-15"],
  ])
  const headers = await signer(daemon.endpoint, daemon.credentials)(body)
  const others: readonly Readonly<Record<string, string>>[] = [
    { host: "evil.example" },
    { host: `evil.example:${new URL(daemon.endpoint).port}` },
    { origin: "https://evil.example" },
    { origin: "null" },
    { "sec-fetch-site": "cross-site" },
  ]
  for (const other of others)
    assert.equal((await client.send({ headers: { ...headers, ...other }, body })).status, 403, JSON.stringify(other))
  for (const path of ["/_fractus/status", "/_fractus/settled"])
    assert.equal((await client.send({ method: "GET", path, headers: { host: "evil.example" } })).status, 403, path)
  for (const path of ["/_fractus/accounts", "/_fractus/shutdown"])
    assert.equal((await client.send({ path, body: "{}" })).status, 403, path)
})

test("a body of 100 MB is refused long before it has come, sized or not", async () => {
  const sized = await raw(
    `POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: ${form}\r\nContent-Length: 104857600\r\n\r\n`,
  )
  assert.match(sized.answer, /^HTTP\/1\.1 (413|403) /)
  const signed = await signer(daemon.endpoint, daemon.credentials)("x")
  const head = Object.entries(signed)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join("")
  const endless = await raw(
    `POST / HTTP/1.1\r\n${head}Transfer-Encoding: chunked\r\n\r\n`,
    () => `10000\r\n${"a".repeat(65_536)}\r\n`,
  )
  assert.match(endless.answer, /^HTTP\/1\.1 413 /)
  assert.ok(endless.sentBytes < 20_000_000, `${endless.sentBytes} bytes were taken`)
})

test("what is no HTTP does the daemon no harm", async () => {
  const garbage = [
    "\u0000\u0001\u0002\u0003",
    "HELO mail.example\r\n",
    "\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc\u0003\u0003",
    "GET / HTTP/9.9\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -5\r\n\r\n",
    `GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ${"x".repeat(70_000)}\r\n\r\n`,
    `GET /${"x".repeat(70_000)} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`,
    "GET / HTTP/1.1\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
  ]
  for (const bytes of garbage) {
    const { answer } = await raw(bytes)
    assert.match(answer, /^HTTP\/1\.1 4\d\d |^$/, JSON.stringify(bytes.slice(0, 80)))
  }
  assert.equal(textAt(at(await client.ok("DescribeVpcs"), "vpcSet", "item")[0] ?? assert.fail(), "isDefault"), "true")
})

/** Sends bytes, and `more` again and again, until the other side has answered or ended the connection. */
function raw(bytes: string, more?: () => string): Promise<{ readonly answer: string; readonly sentBytes: number }> {
  const { hostname, port } = new URL(daemon.endpoint)
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname)
    let answer = ""
    const done = () => {
      socket.destroy()
      resolve({ answer, sentBytes: socket.bytesWritten })
    }
    const pump = () => {
      if (more === undefined || answer !== "" || !socket.writable) return
      if (socket.write(more())) setImmediate(pump)
    }
    socket.setTimeout(15_000, () => {
      socket.destroy()
      reject(new Error("neither an answer nor an end within 15 s"))
    })
    socket.on("connect", () => {
      if (more === undefined) socket.end(bytes, "latin1")
      else {
        socket.write(bytes, "latin1")
        pump()
      }
    })
    socket.on("drain", pump)
    socket.on("data", (part: Buffer) => (answer += part.toString("latin1")))
    socket.on("end", done)
    // A reset after the answer was read is an end as good as any.
    socket.on("error", done)
  })
}
