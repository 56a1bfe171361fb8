/** HTTPS beside HTTP on the one port: clients that trust the home's authority are served, others are not, and it speaks for loopback alone. */
import { EC2Client, DescribeVpcsCommand } from "@aws-sdk/client-ec2"
import assert from "node:assert/strict"
import { execFile, execFileSync } from "node:child_process"
import { X509Certificate } from "node:crypto"
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { connect } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, before, test } from "node:test"
import { promisify } from "node:util"
import { ensureCertificates, tlsFiles } from "#daemon/tls/certificates.ts"
import { type SimDaemon, startSimDaemon } from "../rig/daemon.ts"
import { findPython } from "./python.ts"
import { commandLines } from "./scenario/installed.ts"

const run = promisify(execFile)
let daemon: SimDaemon
let env: Record<string, string>
let secure: string
before(async () => {
  daemon = await startSimDaemon({ tls: true })
  secure = daemon.endpoint.replace("http:", "https:")
  const { ca } = tlsFiles(daemon.home)
  env = { ...daemon.env, AWS_ENDPOINT_URL: secure, AWS_CA_BUNDLE: ca, NODE_EXTRA_CA_CERTS: ca }
})
after(() => daemon?.stop())

const vpcsOf = (text: string) => (JSON.parse(text) as { readonly Vpcs: readonly unknown[] }).Vpcs.length

test("curl is served by name and by address, with the authority and not without", async () => {
  const { ca } = tlsFiles(daemon.home)
  const { port } = new URL(daemon.endpoint)
  for (const name of ["127.0.0.1", "localhost", "s3.localhost", "bucket.s3.localhost"]) {
    const to = ["--resolve", `${name}:${port}:127.0.0.1`, `https://${name}:${port}/_fractus/settled`]
    const { stdout } = await run("curl", ["-sS", "--noproxy", "*", "--cacert", ca, ...to])
    assert.equal((JSON.parse(stdout) as { readonly settled: boolean }).settled, true, name)
  }
  await assert.rejects(run("curl", ["-sS", "--noproxy", "*", `${secure}/_fractus/settled`]), /certificate/i)
  const plain = await fetch(`${daemon.endpoint}/_fractus/settled`)
  assert.equal(plain.status, 200, "plain HTTP goes on")
})

test("the JavaScript SDK, with the authority as Node is told of it", async () => {
  const script = `import { EC2Client, DescribeVpcsCommand } from "@aws-sdk/client-ec2"
    console.log(JSON.stringify(await new EC2Client({ maxAttempts: 1 }).send(new DescribeVpcsCommand({}))))`
  const cwd = new URL("../..", import.meta.url).pathname
  const { stdout } = await run(process.execPath, ["--input-type=module", "-e", script], { env, cwd, timeout: 60_000 })
  assert.equal(vpcsOf(stdout), 1)
  const stranger = new EC2Client({
    endpoint: secure,
    region: "us-east-1",
    credentials: daemon.credentials,
    maxAttempts: 1,
  })
  await assert.rejects(stranger.send(new DescribeVpcsCommand({})), /certificate|issuer/i)
  stranger.destroy()
})

const python = findPython("boto3")
test("boto3", { skip: python ? false : "no boto3" }, async () => {
  // Debian 12's boto3 does not know AWS_ENDPOINT_URL.
  const script = 'import boto3, sys; print(len(boto3.client("ec2", endpoint_url=sys.argv[1]).describe_vpcs()["Vpcs"]))'
  assert.equal((await run(python ?? "", ["-c", script, secure], { env, timeout: 60_000 })).stdout.trim(), "1")
})

const clis = commandLines()
test("each AWS CLI", { skip: clis.length > 0 ? false : "no AWS CLI" }, async () => {
  for (const { program } of clis) {
    const { stdout } = await run(program, ["--endpoint-url", secure, "ec2", "describe-vpcs"], { env, timeout: 60_000 })
    assert.equal(vpcsOf(stdout), 1, program)
  }
})

test("a connection that says nothing, or nonsense after its first byte, harms nobody", async () => {
  const { port, hostname } = new URL(daemon.endpoint)
  const silent = connect(Number(port), hostname)
  const ended = new Promise<void>((resolve, reject) => {
    const socket = connect(Number(port), hostname, () => socket.end(Buffer.from([22, 3, 1, 255, 255, 0, 1, 2, 3])))
    socket.setTimeout(20_000, () => socket.destroy(new Error("still open")))
    socket.on("error", (error: NodeJS.ErrnoException) => (error.code === "ECONNRESET" ? resolve() : reject(error)))
    socket.on("close", () => resolve())
    socket.resume()
  })
  await ended
  assert.equal((await fetch(`${daemon.endpoint}/_fractus/settled`)).status, 200)
  silent.destroy()
})

test("keys are nobody else's; what expires is made anew, the authority stays", () => {
  const home = mkdtempSync(join(tmpdir(), "fractus-tls-"))
  try {
    const files = tlsFiles(home)
    const day = 86_400_000
    const now = Date.now()
    assert.equal(ensureCertificates(home, now), true)
    for (const key of [files.key, files.caKey]) assert.equal(statSync(key).mode & 0o777, 0o600)
    const read = (path: string) => readFileSync(path, "utf8")
    const [ca, cert] = [read(files.ca), read(files.cert)]
    assert.equal(ensureCertificates(home, now + 59 * day), false)
    assert.equal(ensureCertificates(home, now + 61 * day), true)
    assert.equal(read(files.ca), ca)
    assert.notEqual(read(files.cert), cert)
    writeFileSync(files.cert, "no certificate")
    assert.equal(ensureCertificates(home, now), true)
    assert.ok(new X509Certificate(read(files.cert)).checkIP("127.0.0.1"))
    // Ten years are nearly over.
    assert.equal(ensureCertificates(home, now + 3300 * day), true)
    assert.notEqual(read(files.ca), ca)
  } finally {
    rmSync(home, { recursive: true, force: true })
  }
})

test("what the authority says of any other name is not believed", () => {
  const folder = mkdtempSync(join(tmpdir(), "fractus-tls-"))
  try {
    const { ca, caKey } = tlsFiles(daemon.home)
    const [key, cert] = [join(folder, "key"), join(folder, "cert")]
    const subject = [
      "-subj",
      "/CN=x",
      "-addext",
      "subjectAltName=DNS:ec2.amazonaws.com",
      "-addext",
      "basicConstraints=CA:FALSE",
    ]
    const made = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", cert]
    const quiet = { stdio: "pipe", timeout: 20_000 } as const
    execFileSync("openssl", ["req", "-x509", ...made, ...subject, "-CA", ca, "-CAkey", caKey], quiet)
    assert.throws(() => execFileSync("openssl", ["verify", "-CAfile", ca, cert], quiet), /permitted subtree violation/)
    execFileSync("openssl", ["verify", "-CAfile", ca, tlsFiles(daemon.home).cert], quiet)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
