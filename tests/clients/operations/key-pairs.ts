import assert from "node:assert/strict"
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto"
import type { Checks } from "./checks.ts"

/** The base64 part of an OpenSSH public key (RFC 4253, section 6.6; RFC 8709), written here once more: the product's own may be wrong. */
function openSsh(key: KeyObject): string {
  const { kty, n = "", e = "", x = "" } = key.export({ format: "jwk" })
  const string = (bytes: Uint8Array) =>
    Buffer.concat([Buffer.from([0, 0, bytes.length >> 8, bytes.length & 255]), bytes])
  const number = (base64: string) => {
    const bytes = Buffer.from(base64, "base64url")
    return string((bytes[0] ?? 0) > 127 ? Buffer.concat([Buffer.from([0]), bytes]) : bytes)
  }
  const parts =
    kty === "RSA"
      ? [string(Buffer.from("ssh-rsa")), number(e), number(n)]
      : [string(Buffer.from("ssh-ed25519")), string(Buffer.from(x, "base64url"))]
  return Buffer.concat(parts).toString("base64")
}

export const keyPairs = {
  async CreateKeyPair({ ec2, refusal, name }) {
    const KeyName = name()
    const rsa = await ec2("CreateKeyPair", { KeyName })
    assert.match(rsa.KeyPairId ?? "", /^key-[0-9a-f]{17}$/)
    // The private key is that of the public key which is kept.
    const { KeyPairs: [kept] = [] } = await ec2("DescribeKeyPairs", { KeyNames: [KeyName], IncludePublicKey: true })
    assert.equal(kept?.PublicKey?.split(" ")[1], openSsh(createPublicKey(createPrivateKey(rsa.KeyMaterial ?? ""))))
    const ppk = await ec2("CreateKeyPair", { KeyName: name(), KeyType: "ed25519", KeyFormat: "ppk" })
    assert.match(ppk.KeyMaterial ?? "", /^PuTTY-User-Key-File-\d: ssh-ed25519/)
    assert.equal(await refusal("CreateKeyPair", { KeyName }), "400 InvalidKeyPair.Duplicate")
    assert.equal(
      await refusal("CreateKeyPair", { KeyName: name(), KeyType: "dsa" as never }),
      "400 InvalidParameterValue",
    )
    assert.equal(await refusal("CreateKeyPair", { KeyName: "x".repeat(256) }), "400 InvalidParameterValue")
    const dry = name()
    assert.equal(await refusal("CreateKeyPair", { KeyName: dry, DryRun: true }), "412 DryRunOperation")
    assert.equal(await refusal("DescribeKeyPairs", { KeyNames: [dry] }), "400 InvalidKeyPair.NotFound")
  },

  async ImportKeyPair({ ec2, refusal, name }) {
    const { publicKey } = generateKeyPairSync("ed25519")
    const line = `ssh-ed25519 ${openSsh(publicKey)} somebody@somewhere`
    const KeyName = name()
    const imported = await ec2("ImportKeyPair", { KeyName, PublicKeyMaterial: Buffer.from(line) })
    const { KeyPairs: [shown] = [] } = await ec2("DescribeKeyPairs", { KeyNames: [KeyName], IncludePublicKey: true })
    assert.equal(shown?.KeyFingerprint, imported.KeyFingerprint)
    assert.equal(shown?.PublicKey?.split(" ")[1], line.split(" ")[1])
    const again = { KeyName, PublicKeyMaterial: Buffer.from(line) }
    assert.equal(await refusal("ImportKeyPair", again), "400 InvalidKeyPair.Duplicate")
    const bad = { KeyName: name(), PublicKeyMaterial: Buffer.from("ssh-rsa AAAA") }
    assert.equal(await refusal("ImportKeyPair", bad), "400 InvalidKey.Format")
  },

  async DescribeKeyPairs({ ec2, refusal, name }) {
    const KeyName = name()
    const Tags = [{ Key: "purpose", Value: KeyName }]
    const TagSpecifications = [{ ResourceType: "key-pair" as const, Tags }]
    const { KeyPairId = "" } = await ec2("CreateKeyPair", { KeyName, KeyType: "ed25519", TagSpecifications })
    for (const input of [
      { KeyPairIds: [KeyPairId] },
      { KeyNames: [KeyName] },
      { Filters: [{ Name: "tag:purpose", Values: [KeyName] }] },
      { Filters: [{ Name: "key-name", Values: [KeyName] }] },
    ]) {
      const { KeyPairs = [] } = await ec2("DescribeKeyPairs", input)
      assert.deepEqual(
        KeyPairs.map((each) => [each.KeyPairId, each.KeyType, each.Tags]),
        [[KeyPairId, "ed25519", Tags]],
      )
    }
    assert.equal(await refusal("DescribeKeyPairs", { KeyNames: ["none"] }), "400 InvalidKeyPair.NotFound")
    const missing = { KeyPairIds: ["key-00000000000000000"] }
    assert.equal(await refusal("DescribeKeyPairs", missing), "400 InvalidKeyPair.NotFound")
  },

  async DeleteKeyPair({ ec2, refusal, name }) {
    const [byName, byId] = [name(), name()]
    await ec2("CreateKeyPair", { KeyName: byName, KeyType: "ed25519" })
    const { KeyPairId = "" } = await ec2("CreateKeyPair", { KeyName: byId, KeyType: "ed25519" })
    assert.equal((await ec2("DeleteKeyPair", { KeyName: byName })).Return, true)
    assert.equal((await ec2("DeleteKeyPair", { KeyPairId })).KeyPairId, KeyPairId)
    for (const gone of [byName, byId])
      assert.equal(await refusal("DescribeKeyPairs", { KeyNames: [gone] }), "400 InvalidKeyPair.NotFound")
    // One that is not there is as good as deleted.
    assert.equal((await ec2("DeleteKeyPair", { KeyName: byName })).Return, true)
    assert.equal(await refusal("DeleteKeyPair", {}), "400 MissingParameter")
  },
} satisfies Checks
