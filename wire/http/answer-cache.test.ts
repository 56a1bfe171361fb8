import assert from "node:assert/strict"
import { test } from "node:test"
import { Sha256 } from "@smithy/core/checksum"
import { SignatureV4 } from "@smithy/signature-v4"
import { createAnswerCache } from "./answer-cache.ts"
import { type Answer, binding, caller, post, secretAccessKey, startServer } from "./fixture.ts"

const claim = (region = "us-east-1"): Record<string, string> => ({
  authorization: `AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260102/${region}/ec2/aws4_request, SignedHeaders=host, Signature=${"a".repeat(64)}`,
  "x-amz-date": "20260102T030405Z",
})
const describe = "Action=DescribeKeyPairs&Version=2016-11-15"

/** A cloud of key pairs that counts how often it was asked. `pure` names the operations that may be answered again. */
async function keyPairs(pure: readonly string[] = ["DescribeKeyPairs"]) {
  const cloud = { names: ["first"], revision: 1 as number | undefined, asked: 0, during: () => {} }
  const ec2 = binding("ec2", {
    DescribeKeyPairs: () => {
      cloud.asked++
      const names = [...cloud.names]
      cloud.during()
      return { KeyPairs: names.map((KeyName) => ({ KeyName })) }
    },
  })
  const service = {
    ...ec2,
    load: async () => ({ ...(await ec2.load()), isPure: (operation: string) => pure.includes(operation) }),
  }
  const server = await startServer({}, { services: [service], revision: () => cloud.revision })
  const ask = (form = describe, headers = claim()): Promise<Answer> => post(server.port, form, headers)
  return { cloud, ask, server, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() }
}

const requestIdIn = (text: string): string => /<requestId>(.*?)<\/requestId>/.exec(text)?.[1] ?? ""

test("an answer given again has a request id of its own, in header and body, and is else the same", async () => {
  await using rig = await keyPairs()
  const first = await rig.ask()
  const second = await rig.ask()
  assert.equal(rig.cloud.asked, 1)
  assert.notEqual(requestIdIn(first.text), requestIdIn(second.text))
  for (const { text, headers } of [first, second]) assert.equal(requestIdIn(text), headers.get("x-amzn-requestid"))
  const bare = ({ text }: Answer): string => text.replace(requestIdIn(text), "")
  assert.equal(bare(first), bare(second))
  assert.match(first.text, /<keyName>first<\/keyName>/)
  assert.deepEqual(
    rig.server.records.map(({ operation, status, code }) => ({ operation, status, code })),
    [0, 1].map(() => ({ operation: "DescribeKeyPairs", status: 200, code: "" })),
  )
})

test("after a change the answer is made anew", async () => {
  await using rig = await keyPairs()
  await rig.ask()
  rig.cloud.names.push("second")
  rig.cloud.revision = 2
  assert.match((await rig.ask()).text, /<keyName>second<\/keyName>/)
})

test("while a change is being written nothing is given again and nothing is kept", async () => {
  await using rig = await keyPairs()
  await rig.ask()
  rig.cloud.revision = undefined
  rig.cloud.names.push("second")
  assert.match((await rig.ask()).text, /second/)
  rig.cloud.names.push("third")
  assert.match((await rig.ask()).text, /third/)
})

test("an answer during which something changed is not kept", async () => {
  await using rig = await keyPairs()
  rig.cloud.during = () => {
    rig.cloud.revision = 2
    rig.cloud.names = ["later"]
  }
  assert.match((await rig.ask()).text, /first/)
  assert.match((await rig.ask()).text, /later/)
})

test("another region, another form and an operation that is not pure are answered by the handler", async () => {
  await using rig = await keyPairs()
  await rig.ask()
  await rig.ask(describe, claim("eu-west-1"))
  await rig.ask(`${describe}&DryRun=false`)
  await rig.ask(`${describe}&`)
  assert.equal(rig.cloud.asked, 4)
  await using impure = await keyPairs([])
  await impure.ask()
  await impure.ask()
  assert.equal(impure.cloud.asked, 2)
})

test("an error is never kept", async () => {
  await using rig = await keyPairs()
  rig.cloud.during = () => {
    throw new Error("a bug")
  }
  assert.equal((await rig.ask()).status, 500)
  rig.cloud.during = () => {}
  assert.equal((await rig.ask()).status, 200)
})

test("a wrong signature gets nothing of an answer that is ready", async () => {
  const ec2 = binding("ec2", { DescribeKeyPairs: () => ({ KeyPairs: [{ KeyName: "hidden" }] }) })
  const service = { ...ec2, load: async () => ({ ...(await ec2.load()), isPure: () => true }) }
  await using server = await startServer({}, { services: [service], auth: "on", revision: () => 1 })
  const good = await signed(server.port, secretAccessKey)
  for (let again = 0; again < 2; again++) assert.match((await post(server.port, describe, good)).text, /hidden/)
  const refused = await post(server.port, describe, await signed(server.port, "wrong"))
  assert.deepEqual([refused.status, refused.code], [401, "AuthFailure"])
  const tampered = await post(server.port, `${describe}&`, good)
  assert.deepEqual([tampered.status, tampered.code], [401, "AuthFailure"])
})

async function signed(port: number, secret: string): Promise<Record<string, string>> {
  const signer = new SignatureV4({
    service: "ec2",
    region: "us-east-1",
    credentials: { accessKeyId: caller.accessKeyId, secretAccessKey: secret },
    sha256: Sha256,
  })
  const request = { method: "POST", protocol: "http:", hostname: "127.0.0.1", path: "/", body: describe }
  const { headers } = await signer.sign({ ...request, headers: { host: `127.0.0.1:${port}` } })
  const { host: _, ...rest } = headers
  return rest
}

test("the cache keeps to its limits and forgets what is old", () => {
  const cache = createAnswerCache({ bytes: 100, entries: 3 })
  const piece = (text: string): Buffer[] => [Buffer.from(`[${text}]`)]
  for (const key of ["a", "b", "c", "d"]) cache.keep(key, 1, "Op", piece(key), key)
  assert.equal(cache.find("a", 1), undefined)
  const kept = cache.find("d", 1)
  assert.equal(kept && `${kept.before}x${kept.after.toString("latin1")}`, "[x]")
  assert.equal(cache.find("d", 2), undefined)
  cache.keep("large", 1, "Op", [Buffer.from(`id${"-".repeat(60)}`)], "id")
  assert.equal(cache.find("large", 1), undefined, "more than half of all")
  cache.keep("twice", 1, "Op", [Buffer.from("id id")], "id")
  assert.equal(cache.find("twice", 1), undefined, "which of the two is the request id?")
  cache.keep("new", 2, "Op", piece("n"), "n")
  assert.equal(cache.find("d", 1), undefined)
  assert.ok(cache.find("new", 2))
})
