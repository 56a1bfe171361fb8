import assert from "node:assert/strict"
import { request as httpRequest } from "node:http"
import { test } from "node:test"
import { Fault } from "#lib/fault.ts"
import { ClientGone } from "./body.ts"
import { binding, caller, eventually, post, raw, rawPost, startServer } from "./fixture.ts"
import { createWireServer, type WireServerOptions } from "./server.ts"

const regions = "Action=DescribeRegions&Version=2016-11-15"
const identity = "Action=GetCallerIdentity&Version=2011-06-15"
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
const describeRegions = { DescribeRegions: () => ({ Regions: [{ RegionName: "us-east-1" }] }) }
const never = (): Promise<never> => new Promise(() => {})

test("an EC2 call gets EC2's XML, headers and request id", async () => {
  await using server = await startServer(describeRegions)
  const { status, headers, text } = await post(server.port, regions)
  assert.equal(status, 200)
  const id = headers.get("x-amzn-requestid") ?? ""
  assert.match(id, uuid)
  assert.equal(
    text,
    `<?xml version="1.0" encoding="UTF-8"?>\n` +
      `<DescribeRegionsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>${id}</requestId>` +
      `<regionInfo><item><regionName>us-east-1</regionName></item></regionInfo></DescribeRegionsResponse>`,
  )
  assert.equal(headers.get("content-type"), "text/xml;charset=UTF-8")
  assert.equal(headers.get("server"), null)
  assert.ok(headers.get("date"))
  await eventually(() => server.records.length === 1)
  const [record] = server.records
  assert.deepEqual(
    { ...record, ms: 0 },
    {
      requestId: id,
      service: "ec2",
      operation: "DescribeRegions",
      status: 200,
      code: "",
      message: "",
      caller,
      region: "us-east-1",
      sourceAddress: "127.0.0.1",
      userAgent: "node",
      ms: 0,
      bytes: text.length,
    },
  )
})

test("one listener serves each service by credential scope, version or host name", async () => {
  const sts = { GetCallerIdentity: (_: object, info: { region: string }) => ({ Account: info.region }) }
  await using server = await startServer(describeRegions, {}, sts)
  const authorization =
    "AWS4-HMAC-SHA256 Credential=AKID/20260102/eu-west-1/sts/aws4_request, SignedHeaders=host, " +
    `Signature=${"0".repeat(64)}`
  const scoped = await post(server.port, identity, { authorization, "x-amz-date": "20260102T000000Z" })
  assert.match(scoped.text, /<GetCallerIdentityResult><Account>eu-west-1<\/Account><\/GetCallerIdentityResult>/)
  const byVersion = await post(server.port, identity)
  assert.match(byVersion.text, /<Account>us-east-1<\/Account>/)
  const byHost = await raw(
    server.port,
    rawPost("Action=Nope&Version=1", [], "Host: sts.localhost"),
    /<\/ErrorResponse>/,
  )
  assert.match(byHost, /Could not find operation Nope for version 1</)
  const unknown = authorization.replace("/sts/", "/sqs/")
  const none = await post(server.port, identity, { authorization: unknown, "x-amz-date": "20260102T000000Z" })
  assert.match(none.text, /This endpoint has no service 'sqs'/)
})

test("errors come in each protocol's form", async () => {
  const failed = new Fault("InvalidThing", `not <that> & "this"\u0000`, 409)
  const fail = (): Promise<never> => Promise.reject(failed)
  await using server = await startServer({ DescribeRegions: fail }, {}, { GetCallerIdentity: fail })
  const ec2 = await post(server.port, regions)
  assert.equal(ec2.status, 409)
  assert.match(
    ec2.text,
    /<Response><Errors><Error><Code>InvalidThing<\/Code><Message>not &lt;that&gt; &amp; "this"<\/Message><\/Error><\/Errors><RequestID>[0-9a-f-]{36}<\/RequestID><\/Response>$/,
  )
  const sts = await post(server.port, identity)
  assert.equal(sts.status, 409)
  assert.match(
    sts.text,
    /<ErrorResponse xmlns="https:\/\/sts.amazonaws.com\/doc\/2011-06-15\/"><Error><Type>Sender<\/Type><Code>InvalidThing<\/Code>.*<RequestId>/,
  )
})

test("what is no Fault answers an internal error and only the log learns what it was", async () => {
  const secret = new Error("the password is swordfish")
  const broken = { DescribeRegions: () => Promise.reject(secret), DescribeVpcs: () => ({ Vpcs: [{ Tags: 5 }] }) }
  await using server = await startServer(broken, {}, broken)
  const thrown = await post(server.port, regions)
  assert.deepEqual([thrown.status, thrown.code], [500, "InternalError"])
  assert.ok(!thrown.text.includes("swordfish"))
  const unwritable = await post(server.port, "Action=DescribeVpcs&Version=2016-11-15")
  assert.deepEqual([unwritable.status, unwritable.code], [500, "InternalError"])
  assert.equal(server.logged[0], secret)
  assert.equal(server.logged.length, 2)
})

test("a service that could not be loaded is tried again on the next call", async () => {
  let tries = 0
  const good = binding("ec2", describeRegions)
  const load = (): ReturnType<typeof good.load> => (++tries === 1 ? Promise.reject(new Error("disk")) : good.load())
  await using server = await startServer({}, { services: [{ ...good, load }] })
  assert.equal((await post(server.port, regions)).status, 500)
  assert.equal((await post(server.port, regions)).status, 200)
})

test("actions, versions and parameters that are not there are refused by name", async () => {
  await using server = await startServer(describeRegions)
  const refused = [
    ["Version=2016-11-15", "MissingAction", ""],
    ["Action=DescribeRegions", "MissingParameter", "the parameter Version"],
    ["Action=DescribeRegions&Version=latest", "NoSuchVersion", "(latest)"],
    ["Action=Describe%3CRegions&Version=2016-11-15", "InvalidAction", "The action Describe&lt;Regions is not valid"],
    ["Action=__proto__&Version=2016-11-15", "InvalidAction", "__proto__"],
    ["Action=toString&Version=2016-11-15", "InvalidAction", "toString"],
    [`${regions}&Colour=red`, "UnknownParameter", "The parameter Colour is not recognized"],
    [`${regions}&Action=DescribeVpcs`, "InvalidQueryParameter", "Action"],
    [`${regions}&DryRun=perhaps`, "InvalidParameterValue", "Value (perhaps) for parameter DryRun is invalid"],
    ["Action=RunInstances&Version=2016-11-15&MaxCount=1", "MissingParameter", "the parameter MinCount"],
    ["Action=DescribeVpcs&Version=2016-11-15", "UnsupportedOperation", "DescribeVpcs"],
    [
      "Action=AssumeRole&Version=2011-06-15",
      "ValidationError",
      "2 validation errors detected: Value null at 'roleArn'",
    ],
    ["Action=Nothing&Version=2011-06-15", "InvalidAction", "Could not find operation Nothing for version 2011-06-15"],
  ]
  for (const [form = "", code, words = ""] of refused) {
    const answer = await post(server.port, form)
    assert.deepEqual([form, answer.status, answer.code], [form, 400, code])
    assert.ok(answer.text.includes(words), answer.text)
  }
  assert.equal((await post(server.port, "Action=DescribeRegions&Version=2010-08-31")).status, 200)
  assert.deepEqual(server.logged, [])
})

test("a call may come in the query string", async () => {
  await using server = await startServer(describeRegions)
  const got = await fetch(`http://127.0.0.1:${server.port}/?${regions}`)
  assert.equal(got.status, 200)
  assert.match(await got.text(), /us-east-1/)
  const both = await fetch(`http://127.0.0.1:${server.port}/?${regions}`, {
    method: "POST",
    body: "DryRun=maybe",
    headers: { "content-type": "application/x-www-form-urlencoded" },
  })
  assert.match(await both.text(), /Value \(maybe\)/)
})

test("with auth on, unsigned calls are refused and nothing of them is read", async () => {
  let ran = 0
  await using server = await startServer({ DescribeRegions: () => ran++ }, { auth: "on" })
  const { status, code } = await post(server.port, "%%%&&not even a form")
  assert.deepEqual([status, code], [403, "MissingAuthenticationToken"])
  assert.equal((await post(server.port, regions)).code, "MissingAuthenticationToken")
  assert.equal(ran, 0)
})

test("other hosts, origins and sites are refused before anything else", async () => {
  await using server = await startServer(describeRegions, { allowedHosts: ["cloud.lan", "*.deep.lan"] })
  const host = async (line: string): Promise<string> =>
    (await raw(server.port, rawPost(regions, ["Connection: close"], line))).split("\r\n", 1)[0] ?? ""
  for (const good of [
    "127.0.0.1",
    "127.9.9.9:80",
    "LOCALHOST:4566",
    "ec2.localhost",
    "[::1]:1",
    "cloud.lan",
    "a.b.deep.lan.",
  ]) {
    assert.equal(await host(`Host: ${good}`), "HTTP/1.1 200 OK", good)
  }
  for (const bad of [
    "evil.example",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "ec2.us-east-1.amazonaws.com",
    "deep.lan",
    "a b",
    "",
    "10.0.0.1",
    "localhost@evil.example",
  ]) {
    assert.equal(await host(`Host: ${bad}`), "HTTP/1.1 403 Forbidden", bad)
  }
  assert.equal(await host(""), "HTTP/1.1 403 Forbidden")
  assert.equal(await host("Host: localhost\r\nHost: evil.example"), "HTTP/1.1 403 Forbidden")

  const from = async (header: string): Promise<string> =>
    (await raw(server.port, rawPost(regions, [header, "Connection: close"], "Host: localhost:9"))).split(
      "\r\n",
      1,
    )[0] ?? ""
  assert.equal(await from("Origin: http://localhost:9"), "HTTP/1.1 200 OK")
  assert.equal(await from("Sec-Fetch-Site: same-origin"), "HTTP/1.1 200 OK")
  for (const bad of [
    "Origin: http://localhost:8",
    "Origin: null",
    "Origin: https://evil.example",
    "Sec-Fetch-Site: cross-site",
    "Sec-Fetch-Site: same-site",
  ]) {
    assert.equal(await from(bad), "HTTP/1.1 403 Forbidden", bad)
  }
})

test("local pages get the raw request; everything else below their path is not there", async () => {
  await using server = await startServer(describeRegions, {
    auth: "on",
    local: (method, path) => {
      if (path === "/_fractus/echo")
        return (_, response, { requestId }) => void response.end(`${method} ${requestId.length}`)
      if (path !== "/_fractus/bad") return undefined
      return () => {
        throw new Fault("NoGood", "bad input", 422)
      }
    },
  })
  const get = async (path: string): Promise<[number, string]> => {
    const response = await fetch(`http://127.0.0.1:${server.port}${path}`)
    return [response.status, await response.text()]
  }
  assert.deepEqual(await get("/_fractus/echo?x=1"), [200, "GET 36"])
  assert.deepEqual(await get("/_fractus/bad"), [422, `{"code":"NoGood","message":"bad input"}\n`])
  assert.equal((await get("/_fractus/none"))[0], 404)
  assert.equal((await get("/_fractusx"))[0], 404)
  const [status, text] = await get("/")
  assert.equal(status, 200)
  assert.match(text, /EC2 on machines you own/)
  const foreign = await raw(
    server.port,
    "GET /_fractus/echo HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
  )
  assert.match(foreign, /^HTTP\/1.1 403 /)
})

test("a large answer arrives whole, and others are served while it is built", async () => {
  const Regions = Array.from({ length: 60_000 }, (_, n) => ({ RegionName: `region-${n}`, Endpoint: "x".repeat(40) }))
  await using server = await startServer({ DescribeRegions: () => ({ Regions }), DescribeVpcs: () => ({ Vpcs: [] }) })
  const large = post(server.port, regions)
  const small = await post(server.port, "Action=DescribeVpcs&Version=2016-11-15")
  assert.match(small.text, /<vpcSet\/>/)
  const { text, headers } = await large
  assert.equal(text.match(/<item>/g)?.length, 60_000)
  assert.equal(headers.get("content-length"), String(text.length))
  assert.ok(
    text.endsWith("<regionName>region-59999</regionName></item></regionInfo></DescribeRegionsResponse>") ||
      text.includes("region-59999"),
  )
})

test("a client that goes away aborts its call", async () => {
  let reason: unknown
  let started = false
  const wait = (_: object, { signal }: { signal: AbortSignal }): Promise<never> => {
    started = true
    return new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject((reason = signal.reason))))
  }
  await using server = await startServer({ DescribeRegions: wait })
  const client = httpRequest({ host: "127.0.0.1", port: server.port, method: "GET", path: `/?${regions}` })
  client.on("error", () => {})
  client.end()
  await eventually(() => started)
  client.destroy()
  await eventually(() => server.inFlight() === 0)
  assert.ok(reason instanceof ClientGone)
  assert.deepEqual([server.records[0]?.status, server.records[0]?.code], [0, "ClientGone"])
})

test("a call past its deadline is answered for, and counts until its handler is through", async () => {
  const gate = Promise.withResolvers<void>()
  const slow = (): Promise<void> => gate.promise
  await using server = await startServer({ DescribeRegions: slow }, { limits: { requestMs: 50 } })
  const { status, code } = await post(server.port, regions)
  assert.deepEqual([status, code], [503, "ServiceUnavailable"])
  assert.equal(server.inFlight(), 1)
  gate.resolve()
  await eventually(() => server.inFlight() === 0)
})

test("calls over the limit are refused at once and the others go on", async () => {
  const finish: (() => void)[] = []
  const slow = (): Promise<void> => new Promise((resolve) => finish.push(resolve))
  await using server = await startServer({ DescribeRegions: slow }, { limits: { inFlight: 2 } })
  const first = [post(server.port, regions), post(server.port, regions)]
  await eventually(() => finish.length === 2)
  const refused = await post(server.port, regions)
  assert.deepEqual([refused.status, refused.code], [503, "RequestLimitExceeded"])
  for (const each of finish) each()
  for (const each of first) assert.equal((await each).status, 200)
})

test("drain lets calls end, refuses new connections, and then cuts what is left", async () => {
  const gate = Promise.withResolvers<void>()
  const slow = (): Promise<void> => gate.promise
  const started = await startServer({ DescribeRegions: slow, DescribeVpcs: never })
  const running = post(started.port, regions)
  await eventually(() => started.inFlight() === 1)
  const drained = started.drain(5000)
  await assert.rejects(post(started.port, regions))
  gate.resolve()
  assert.equal((await running).status, 200)
  await drained

  const stuck = await startServer({ DescribeVpcs: never })
  const hopeless = post(stuck.port, "Action=DescribeVpcs&Version=2016-11-15")
  await eventually(() => stuck.inFlight() === 1)
  await Promise.all([stuck.drain(20), hopeless.then(({ code }) => assert.equal(code, "ServiceUnavailable"))])
})

test("a taken port rejects with the system's error; auth off needs a caller", async () => {
  await using server = await startServer({})
  await using other = await startServer({})
  void other
  const options: WireServerOptions = {
    services: [binding("ec2", {})],
    secrets: () => Promise.resolve(undefined),
    auth: "off",
    defaultCaller: caller,
    defaultRegion: "us-east-1",
    clock: { cloudMs: () => 0, wallMs: () => 0, monotonicMs: () => 0, speed: 1 },
  }
  const third = createWireServer(options)
  await assert.rejects(third.listen(server.port, "127.0.0.1"), { code: "EADDRINUSE" })
  const { defaultCaller: _, ...without } = options
  assert.throws(() => createWireServer(without), TypeError)
})
