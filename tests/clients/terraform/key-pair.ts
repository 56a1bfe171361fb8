import assert from "node:assert/strict"
import { only, type Replay, tagged, tagsOf } from "./replay.ts"

const KeyName = "terraform"
const line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl terraform"

export const keyPair: Replay = {
  resource: "aws_key_pair",
  async create({ ec2 }) {
    const TagSpecifications = [tagged("key-pair", { step: "first" })]
    const PublicKeyMaterial = Buffer.from(line)
    const made = await ec2("ImportKeyPair", { KeyName, PublicKeyMaterial, TagSpecifications })
    assert.equal(made.KeyName, KeyName)
    return KeyName
  },
  async read({ ec2 }, id) {
    const find = async () => (await ec2("DescribeKeyPairs", { KeyNames: [id] })).KeyPairs
    const pair = await only(find(), (each) => each.KeyName === id, ["InvalidKeyPair.NotFound"])
    if (pair === undefined) return undefined
    return {
      key_pair_id: pair.KeyPairId,
      fingerprint: pair.KeyFingerprint,
      key_type: pair.KeyType,
      tags: tagsOf(pair.Tags),
    }
  },
  planned: { key_type: "ed25519", tags: { step: "first" } },
  async update({ ec2 }, _id, before) {
    await ec2("CreateTags", { Resources: [String(before["key_pair_id"])], Tags: [{ Key: "step", Value: "second" }] })
  },
  changed: { tags: { step: "second" } },
  async destroy({ ec2 }, id) {
    await ec2("DeleteKeyPair", { KeyName: id })
  },
}
