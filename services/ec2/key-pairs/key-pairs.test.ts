import assert from "node:assert/strict"
import { execFile } from "node:child_process"
import { createHash, createHmac, createPrivateKey, generateKeyPairSync } from "node:crypto"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test, type TestContext } from "node:test"
import { promisify } from "node:util"
import { openRig } from "#tests/ec2/rig.ts"
import { publicBlob, sshString } from "./ssh-wire.ts"

const run = promisify(execFile)

/** What ssh-keygen makes of a file. */
async function sshKeygen(t: TestContext, content: string, ...args: readonly string[]): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "fractus-key-"))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const file = join(folder, "key")
  await writeFile(file, content, { mode: 0o600 })
  return (await run("ssh-keygen", [...args, "-f", file], { timeout: 20_000 })).stdout
}

const firstTwo = (line: string) => line.trim().split(" ").slice(0, 2).join(" ")

for (const type of ["rsa", "ed25519"] as const) {
  test(`ssh-keygen accepts a created ${type} key and derives the public key that is shown`, async (t) => {
    const rig = await openRig(t)
    const made = await rig.ec2("CreateKeyPair", { KeyName: "mine", KeyType: type })
    const { KeyPairs } = await rig.ec2("DescribeKeyPairs", { IncludePublicKey: true })
    const [shown] = KeyPairs ?? []
    const begin = type === "rsa" ? "-----BEGIN RSA PRIVATE KEY-----\n" : "-----BEGIN OPENSSH PRIVATE KEY-----\n"
    assert.ok(made.KeyMaterial?.startsWith(begin))
    assert.equal(firstTwo(await sshKeygen(t, made.KeyMaterial ?? "", "-y")), firstTwo(shown?.PublicKey ?? ""))
    assert.ok(shown?.PublicKey?.endsWith(" mine"))
    assert.equal(shown?.KeyType, type)
    assert.equal(shown?.KeyFingerprint, made.KeyFingerprint)
    assert.ok(
      !JSON.stringify([...(await rig.cloud.store.getMany([made.KeyPairId ?? ""])).values()]).includes("PRIVATE"),
    )
  })

  test(`a created ${type} key in PuTTY's format carries the right keys and MAC`, async (t) => {
    const rig = await openRig(t)
    const { KeyMaterial = "" } = await rig.ec2("CreateKeyPair", { KeyName: "a b", KeyType: type, KeyFormat: "ppk" })
    const { KeyPairs } = await rig.ec2("DescribeKeyPairs", { IncludePublicKey: true })
    const [algorithm = "", publicBase64 = ""] = KeyPairs?.[0]?.PublicKey?.split(" ") ?? []
    const lines = KeyMaterial.split("\n")
    assert.deepEqual(lines.slice(0, 3), [`PuTTY-User-Key-File-2: ${algorithm}`, "Encryption: none", "Comment: a b"])
    const block = (name: string) => {
      const at = lines.findIndex((line) => line.startsWith(`${name}-Lines: `))
      return Buffer.from(lines.slice(at + 1, at + 1 + Number(lines[at]?.split(": ")[1])).join(""), "base64")
    }
    assert.equal(block("Public").toString("base64"), publicBase64)
    const mac = createHmac("sha1", createHash("sha1").update("putty-private-key-file-mac-key").digest())
    for (const part of [algorithm, "none", "a b", block("Public"), block("Private")]) mac.update(sshString(part))
    assert.ok(lines.includes(`Private-MAC: ${mac.digest("hex")}`))
  })
}

test("fingerprints are those that the user guide says how to compute", async (t) => {
  const rig = await openRig(t)
  const made = await rig.ec2("CreateKeyPair", { KeyName: "rsa" })
  const der = createPrivateKey(made.KeyMaterial ?? "").export({ type: "pkcs8", format: "der" })
  const sha1 = createHash("sha1").update(der).digest("hex").match(/../g)?.join(":")
  assert.equal(made.KeyFingerprint, sha1)
  const ed = await rig.ec2("CreateKeyPair", { KeyName: "ed", KeyType: "ed25519" })
  const listed = await sshKeygen(t, ed.KeyMaterial ?? "", "-l")
  assert.equal(`SHA256:${ed.KeyFingerprint?.replace(/=$/, "")}`, listed.split(" ")[1])

  const { publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 })
  const spki = publicKey.export({ type: "spki", format: "der" })
  const brought = await rig.ec2("ImportKeyPair", {
    KeyName: "mine",
    PublicKeyMaterial: Buffer.from(spki.toString("base64")),
  })
  assert.equal(brought.KeyFingerprint, createHash("md5").update(spki).digest("hex").match(/../g)?.join(":"))
})

test("a public key is taken as OpenSSH, RFC 4716 and DER, and is the same key", async (t) => {
  const rig = await openRig(t)
  for (const [type, options] of [
    ["rsa", { modulusLength: 1024 }],
    ["rsa", { modulusLength: 4096 }],
    ["ed25519", {}],
  ] as const) {
    const { publicKey } =
      type === "rsa" ? generateKeyPairSync("rsa", options as { modulusLength: number }) : generateKeyPairSync("ed25519")
    const name = type === "rsa" ? "ssh-rsa" : "ssh-ed25519"
    const line = `${name} ${publicBlob(publicKey).toString("base64")} me@there with spaces\n`
    const forms = [
      line,
      (await sshKeygen(t, line, "-e")).replace("\n", "\nSubject: a\\\nb: c\n"),
      publicKey.export({ type: "spki", format: "der" }).toString("base64").replace(/.{64}/g, "$&\n"),
    ]
    for (const [index, form] of forms.entries()) {
      const KeyName = `k${index}`
      await rig.ec2("ImportKeyPair", { KeyName, PublicKeyMaterial: Buffer.from(form) })
      const { KeyPairs } = await rig.ec2("DescribeKeyPairs", { KeyNames: [KeyName], IncludePublicKey: true })
      assert.equal(KeyPairs?.[0]?.PublicKey, `${firstTwo(line)} ${KeyName}`)
      assert.equal(KeyPairs?.[0]?.KeyType, type)
      await rig.ec2("DeleteKeyPair", { KeyName })
    }
  }
})

test("key material that is no supported key is InvalidKey.Format", async (t) => {
  const rig = await openRig(t)
  const rsa3072 = generateKeyPairSync("rsa", { modulusLength: 3072 }).publicKey
  const ed = generateKeyPairSync("ed25519").publicKey
  const ec = generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey
  const edBlob = publicBlob(ed).toString("base64")
  const bad = [
    "",
    "hello",
    "ssh-rsa AAAA",
    `ssh-rsa ${edBlob}`,
    `ssh-ed25519 ${edBlob.slice(0, -4)}`,
    `ssh-ed25519 ${Buffer.concat([publicBlob(ed), Buffer.of(0)]).toString("base64")}`,
    `ssh-ed25519 ${edBlob} a\nssh-ed25519 ${edBlob} b`,
    `ssh-rsa ${publicBlob(rsa3072).toString("base64")}`,
    ec.export({ type: "spki", format: "der" }).toString("base64"),
    `---- BEGIN SSH2 PUBLIC KEY ----\n${edBlob}`,
    `ssh-rsa ${Buffer.concat([sshString("ssh-rsa"), Buffer.from("7fffffff", "hex")]).toString("base64")}`,
    "A".repeat(20_000),
  ]
  for (const text of bad) {
    const refused = await rig.fault("ImportKeyPair", { KeyName: "k", PublicKeyMaterial: Buffer.from(text) })
    assert.equal(refused, "InvalidKey.Format: Key is not in valid OpenSSH public key format", text.slice(0, 40))
  }
  assert.match(await rig.fault("ImportKeyPair", { KeyName: "k", PublicKeyMaterial: undefined }), /^MissingParameter/)
})

test("names are unique in a region and have a form", async (t) => {
  const rig = await openRig(t)
  const type = { KeyType: "ed25519" as const }
  await rig.ec2("CreateKeyPair", { KeyName: "mine", ...type })
  await rig.ec2("CreateKeyPair", { KeyName: "mine", ...type }, { region: "eu-west-1" })
  assert.equal(
    await rig.fault("CreateKeyPair", { KeyName: "mine", ...type }),
    "InvalidKeyPair.Duplicate: The keypair already exists",
  )
  for (const KeyName of [" a", "a ", "ä", "a\nb", "x".repeat(256)])
    assert.match(await rig.fault("CreateKeyPair", { KeyName, ...type }), /^InvalidParameterValue/, KeyName)
  assert.match(await rig.fault("CreateKeyPair", { KeyName: undefined, ...type }), /^MissingParameter/)
  assert.match(await rig.fault("CreateKeyPair", { KeyName: "b", KeyType: "dsa" as "rsa" }), /^InvalidParameterValue/)
  assert.match(await rig.fault("CreateKeyPair", { KeyName: "b", KeyFormat: "der" as "pem" }), /^InvalidParameterValue/)
  assert.match(await rig.fault("CreateKeyPair", { KeyName: "b", ...type, DryRun: true }), /^DryRunOperation/)
  await rig.ec2("CreateKeyPair", { KeyName: "x".repeat(255), ...type })
})

test("of concurrent creations with one name one wins", async (t) => {
  const rig = await openRig(t)
  const input = { KeyName: "race", KeyType: "ed25519" as const }
  const all = await Promise.allSettled(Array.from({ length: 8 }, () => rig.ec2("CreateKeyPair", input)))
  assert.equal(all.filter((one) => one.status === "fulfilled").length, 1)
  for (const one of all)
    if (one.status === "rejected") assert.equal((one.reason as { code: string }).code, "InvalidKeyPair.Duplicate")
})

test("key pairs are found by name, id, filter and tag; unknown ones are NotFound", async (t) => {
  const rig = await openRig(t)
  const type = { KeyType: "ed25519" as const }
  const TagSpecifications = [{ ResourceType: "key-pair" as const, Tags: [{ Key: "team", Value: "a" }] }]
  const one = await rig.ec2("CreateKeyPair", { KeyName: "one", ...type, TagSpecifications })
  await rig.ec2("CreateKeyPair", { KeyName: "two", ...type })
  const names = async (input: object) =>
    (await rig.ec2("DescribeKeyPairs", input)).KeyPairs?.map((pair) => pair.KeyName)
  assert.deepEqual(await names({}), ["one", "two"])
  assert.deepEqual(await names({ KeyNames: ["two"] }), ["two"])
  assert.deepEqual(await names({ KeyPairIds: [one.KeyPairId] }), ["one"])
  assert.deepEqual(await names({ Filters: [{ Name: "key-name", Values: ["t*"] }] }), ["two"])
  assert.deepEqual(await names({ Filters: [{ Name: "fingerprint", Values: [one.KeyFingerprint] }] }), ["one"])
  assert.deepEqual(await names({ Filters: [{ Name: "tag:team", Values: ["a"] }] }), ["one"])
  assert.deepEqual(await names({ KeyNames: ["two"], Filters: [{ Name: "tag:team", Values: ["a"] }] }), [])
  const [shown] = (await rig.ec2("DescribeKeyPairs", { KeyNames: ["one"] })).KeyPairs ?? []
  assert.deepEqual(shown?.Tags, [{ Key: "team", Value: "a" }])
  assert.equal(shown?.PublicKey, undefined)
  assert.ok(shown?.CreateTime instanceof Date)
  assert.equal(
    await rig.fault("DescribeKeyPairs", { KeyNames: ["one", "three"] }),
    "InvalidKeyPair.NotFound: The key pair 'three' does not exist",
  )
  assert.match(await rig.fault("DescribeKeyPairs", { KeyPairIds: ["key-00000000"] }), /^InvalidKeyPair.NotFound/)
})

test("deleting is by name or id, and deleting what is not there succeeds", async (t) => {
  const rig = await openRig(t)
  const made = await rig.ec2("CreateKeyPair", { KeyName: "one", KeyType: "ed25519" })
  assert.match(await rig.fault("DeleteKeyPair", { KeyName: "one", DryRun: true }), /^DryRunOperation/)
  assert.deepEqual(await rig.ec2("DeleteKeyPair", { KeyName: "one" }), { Return: true, KeyPairId: made.KeyPairId })
  assert.deepEqual(await rig.ec2("DeleteKeyPair", { KeyName: "one" }), { Return: true })
  assert.deepEqual(await rig.ec2("DeleteKeyPair", { KeyPairId: made.KeyPairId }), { Return: true })
  assert.match(await rig.fault("DeleteKeyPair", {}), /^MissingParameter/)
  const again = await rig.ec2("CreateKeyPair", { KeyName: "one", KeyType: "ed25519" })
  assert.deepEqual(await rig.ec2("DeleteKeyPair", { KeyPairId: again.KeyPairId }), {
    Return: true,
    KeyPairId: again.KeyPairId,
  })
  assert.deepEqual((await rig.ec2("DescribeKeyPairs", {})).KeyPairs, [])
})

test("a region holds 5,000 key pairs, and another one its own", async (t) => {
  const rig = await openRig(t)
  await rig.change((call) => {
    for (let n = 0; n < 4999; n++) call.draft.claim(`key-pair-name:${call.account}:${call.region}`, `full-${n}`, "full")
  })
  await rig.ec2("CreateKeyPair", { KeyName: "last", KeyType: "ed25519" })
  const more = { KeyName: "one more", KeyType: "ed25519" } as const
  assert.match(await rig.fault("CreateKeyPair", more), /^KeyPairLimitExceeded/)
  await rig.ec2("CreateKeyPair", more, { region: "eu-west-1" })
  await rig.ec2("DeleteKeyPair", { KeyName: "last" })
  await rig.ec2("CreateKeyPair", more)
})
