/** What a hostile or broken client may send. Each test ends by seeing that the listener still serves. */
import fc from "fast-check"
import assert from "node:assert/strict"
import { test } from "node:test"
import { eventually, post, raw, rawPost, type Started, startServer } from "./fixture.ts"

const regions = "Action=DescribeRegions&Version=2016-11-15"
const handlers = { DescribeRegions: () => ({ Regions: [] }), RunInstances: () => ({}) }

async function stillServes(server: Started): Promise<void> {
  assert.equal((await post(server.port, regions)).status, 200)
  await eventually(() => server.inFlight() === 0)
  assert.deepEqual(server.logged, [])
}

function status(answer: string): string {
  return /^HTTP\/1\.1 (\d+)/.exec(answer)?.[1] ?? `nothing but: ${answer}`
}

function head(extra: string): string {
  return `POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n${extra}\r\n\r\n`
}

test("a body of 100 MB is refused by its announcement, and cut when it comes all the same", async () => {
  await using server = await startServer(handlers)
  // Ends because the server cuts the connection of a client that sends nothing more.
  const announced = await raw(server.port, head("Content-Length: 104857600"))
  assert.equal(status(announced), "413")

  let sentBytes = 0
  const flood = await raw(server.port, head("Content-Length: 104857600"), /<\/Response>/, (socket) => {
    const block = Buffer.alloc(65_536, 97)
    const more = (): void => {
      while (sentBytes < 104_857_600 && !socket.destroyed) {
        sentBytes += block.length
        if (!socket.write(block)) {
          socket.once("drain", more)
          return
        }
      }
    }
    socket.once("connect", more)
  })
  assert.equal(status(flood), "413")

  const expecting = await raw(server.port, head("Content-Length: 104857600\r\nExpect: 100-continue"), /<\/Response>/)
  assert.equal(status(expecting), "413")
  await stillServes(server)
})

test("a body without a length is cut when it grows past the limit", async () => {
  await using server = await startServer(handlers, { limits: { bodyBytes: 1000 } })
  const chunk = `1f4\r\n${"a".repeat(500)}\r\n`
  const answer = await raw(server.port, head("Transfer-Encoding: chunked") + chunk.repeat(3), /<\/Response>/)
  assert.equal(status(answer), "413")
  assert.match(answer, /RequestEntityTooLarge/)
  await stillServes(server)
})

test("a client that expects 100 Continue gets it when its request may go on", async () => {
  await using server = await startServer(handlers)
  const answer = await raw(server.port, rawPost(regions, ["Expect: 100-continue"]), /<\/DescribeRegionsResponse>/)
  assert.match(answer, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK/)
})

test("slow heads and slow bodies are given up", async () => {
  await using server = await startServer(handlers, { limits: { requestMs: 200 } })
  assert.equal(status(await raw(server.port, "POST / HTTP/1.1\r\nHost: loc")), "408")
  assert.match(status(await raw(server.port, `${head("Content-Length: 50")}Action=`)), /^(408|503)$/)
  await eventually(() => server.inFlight() === 0)
})

test("too many headers, too large ones and bytes that are no HTTP are refused", async () => {
  await using server = await startServer(handlers)
  const many = Array.from({ length: 100_000 }, (_, n) => `X-H${n}: 1`).join("\r\n")
  assert.equal(status(await raw(server.port, `GET / HTTP/1.1\r\nHost: localhost\r\n${many}\r\n\r\n`)), "431")
  const large = `GET / HTTP/1.1\r\nHost: localhost\r\nX-Large: ${"x".repeat(40_000)}\r\n\r\n`
  assert.equal(status(await raw(server.port, large)), "431")
  for (const bytes of [
    "\0\0\0\0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\0b\r\n\r\n",
    "\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
  ]) {
    assert.equal(status(await raw(server.port, bytes)), "400", JSON.stringify(bytes))
  }
  await stillServes(server)
})

test("lengths that disagree are refused, so that no request hides in another", async () => {
  await using server = await startServer(handlers)
  for (const headers of [["Transfer-Encoding: chunked"], ["Content-Length: 1"], ["Transfer-Encoding: gzip, chunked"]]) {
    assert.equal(status(await raw(server.port, rawPost(regions, headers))), "400", headers.join())
  }
  await stillServes(server)
})

test("encoded bodies, other types, methods and paths are refused", async () => {
  await using server = await startServer(handlers)
  assert.equal((await post(server.port, regions, { "content-encoding": "gzip" })).status, 415)
  assert.equal((await post(server.port, regions, { "content-type": "text/plain" })).status, 415)
  const send = async (method: string, path: string): Promise<number> => {
    const response = await fetch(`http://127.0.0.1:${server.port}${path}`, { method })
    return response.status
  }
  assert.equal(await send("PUT", "/?Action=DescribeRegions"), 405)
  assert.equal(await send("DELETE", "/"), 405)
  assert.equal(await send("GET", `/latest?${regions}`), 404)
  assert.equal(
    status(await raw(server.port, `GET //a/..//?${regions} HTTP/1.1\r\nHost: localhost\r\n\r\n`, /Response>/)),
    "200",
  )
  assert.equal(
    status(await raw(server.port, `GET http://localhost/?${regions} HTTP/1.1\r\nHost: localhost\r\n\r\n`, /Response>/)),
    "404",
  )
  await stillServes(server)
})

test("forms that are not well formed are refused by AWS's codes", async () => {
  await using server = await startServer(handlers)
  const refused: [string, string][] = [
    [`${regions}&X=%`, "MalformedQueryString"],
    [`${regions}&X=%zz`, "MalformedQueryString"],
    [`${regions}&X=%ff%fe`, "MalformedQueryString"],
    [`${regions}&X=%ed%a0%80`, "MalformedQueryString"],
    [`${regions}&RegionName.1=%00`, "InvalidCharacter"],
    [`${regions}&RegionName.1=\0`, "InvalidCharacter"],
    [`${regions}&${"A.".repeat(40)}B=1`, "MalformedQueryString"],
    [`${regions}&${Array.from({ length: 10_001 }, (_, n) => `P${n}=`).join("&")}`, "MalformedQueryString"],
    [`${regions}&Filter.1000000000.Name=x`, "UnknownParameter"],
    [`${regions}&Filter.0.Name=x`, "UnknownParameter"],
    [`${regions}&Filter.01.Name=x`, "UnknownParameter"],
    [`${regions}&Filter.-1.Name=x`, "UnknownParameter"],
    [`${regions}&Filter.1.Name.2=x`, "UnknownParameter"],
    [`${regions}&Filter.__proto__.Name=x`, "UnknownParameter"],
    [`${regions}&__proto__.polluted=x`, "UnknownParameter"],
    [`${regions}&constructor=x`, "UnknownParameter"],
    [`${regions}&.=x`, "UnknownParameter"],
    [`${regions}&=x`, "UnknownParameter"],
    [`${regions}&DryRun=true&DryRun=true`, "InvalidQueryParameter"],
    ["Action=RunInstances&Version=2016-11-15&MinCount=1&MaxCount=2147483648", "InvalidParameterValue"],
    ["Action=RunInstances&Version=2016-11-15&MinCount=1&MaxCount=1.5", "InvalidParameterValue"],
    ["Action=RunInstances&Version=2016-11-15&MinCount=1&MaxCount=0x10", "InvalidParameterValue"],
    [`Action=RunInstances&Version=2016-11-15&MinCount=1&MaxCount=${"9".repeat(400)}`, "InvalidParameterValue"],
  ]
  for (const [form, code] of refused) {
    const answer = await post(server.port, form)
    assert.deepEqual([form.slice(0, 120), answer.status, answer.code], [form.slice(0, 120), 400, code])
    assert.ok(answer.text.length < 1500)
  }
  const latin = await raw(
    server.port,
    Buffer.from(rawPost(`${regions}&X=\u00e9`).replace("Length: 46", "Length: 45"), "latin1"),
    /Response>/,
  )
  assert.match(latin, /MalformedQueryString/)
  assert.equal(Object.hasOwn(Object.prototype, "polluted"), false)
  await stillServes(server)
})

test("pipelined requests are answered in order on one connection", async () => {
  await using server = await startServer(handlers)
  const two = rawPost(regions) + rawPost("Action=Nope&Version=2016-11-15", ["Connection: close"])
  const answers = await raw(server.port, two)
  assert.deepEqual(answers.match(/HTTP\/1\.1 \d+/g), ["HTTP/1.1 200", "HTTP/1.1 400"])
})

test("no form makes a 5xx", async () => {
  await using server = await startServer(handlers)
  const piece = fc.constantFrom(
    "Action=",
    "DescribeRegions",
    "RunInstances",
    "Version=",
    "2016-11-15",
    "&",
    "=",
    ".",
    "%",
    "%41",
    "%00",
    "+",
    "1",
    "Filter",
    "Name",
    "Value",
    "MinCount",
    "MaxCount",
    "BlockDeviceMapping",
    "Ebs",
    "__proto__",
    "99999999999999999999",
    "true",
  )
  const form = fc.array(fc.oneof({ weight: 5, arbitrary: piece }, fc.string({ unit: "binary", maxLength: 6 })), {
    maxLength: 24,
  })
  await fc.assert(
    fc.asyncProperty(form, fc.boolean(), async (parts, isNamed) => {
      const answer = await post(server.port, (isNamed ? `${regions}&` : "") + parts.join(""))
      assert.ok(answer.status < 500, answer.text)
      assert.match(answer.headers.get("x-amzn-requestid") ?? "", /^[0-9a-f-]{36}$/)
    }),
    { numRuns: 400, seed: 21 },
  )
  await stillServes(server)
})
