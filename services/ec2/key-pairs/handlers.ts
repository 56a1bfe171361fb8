/** Key pairs. A private key is in CreateKeyPair's answer and nowhere else. */
import type { KeyType } from "@aws-sdk/client-ec2"
import type { Call } from "#cloud/call.ts"
import { notFound, requireId, type Resource } from "#cloud/resources/kind.ts"
import { pure } from "#cloud/service.ts"
import { raise } from "../errors.ts"
import type { Handler, Handlers } from "../handler.ts"
import { listTags, toTags } from "../tags/answer.ts"
import { tagsFor } from "../tags/specifications.ts"
import { newKey, toPem, toPpk } from "./generate.ts"
import { createdFingerprint, importedFingerprint, readPublicKey, toAuthorizedKey, typeOf } from "./public-key.ts"
import { type KeyPairRecord, keyPairKind } from "./record.ts"

const maxNameLength = 255
/** "Amazon EC2 endpoints and quotas". */
const maxPerRegion = 5000

/** CreateKeyPair. rsa and PEM unless asked otherwise. InvalidKeyPair.Duplicate. */
const createKeyPair: Handler<"CreateKeyPair"> = async (input, call) => {
  const name = readName(input.KeyName)
  const type = oneOf("KeyType", input.KeyType, ["rsa", "ed25519"])
  const format = oneOf("KeyFormat", input.KeyFormat, ["pem", "ppk"])
  const tags = tagsFor(input.TagSpecifications, "key-pair")
  await requireRoomFor(call, name)
  const key = await newKey(type)
  const keyPair = draftKeyPair(call, {
    name,
    type,
    fingerprint: createdFingerprint(key.publicKey, key.privateKey),
    publicKey: toAuthorizedKey(key.publicKey, name),
    createdMs: call.nowMs,
    imported: false,
    tags,
  })
  await call.commit()
  return { ...showMade(keyPair), KeyMaterial: format === "ppk" ? toPpk(key, name) : toPem(key, name) }
}

/** ImportKeyPair. InvalidKey.Format, InvalidKeyPair.Duplicate. */
const importKeyPair: Handler<"ImportKeyPair"> = async (input, call) => {
  const name = readName(input.KeyName)
  if (input.PublicKeyMaterial === undefined) throw raise("MissingParameter", { name: "PublicKeyMaterial" })
  const tags = tagsFor(input.TagSpecifications, "key-pair")
  const key = readPublicKey(input.PublicKeyMaterial)
  await requireRoomFor(call, name)
  const keyPair = draftKeyPair(call, {
    name,
    type: typeOf(key),
    fingerprint: importedFingerprint(key),
    publicKey: toAuthorizedKey(key, name),
    createdMs: call.nowMs,
    imported: true,
    tags,
  })
  await call.commit()
  return showMade(keyPair)
}

/** DescribeKeyPairs. No paging: a region holds a few thousand at most. InvalidKeyPair.NotFound. */
const describeKeyPairs: Handler<"DescribeKeyPairs"> = async (input, call) => {
  const ids = [...(input.KeyPairIds ?? []), ...(await idsOf(call, input.KeyNames ?? []))]
  const keyPairs: Resource<KeyPairRecord>[] = []
  let nextToken: string | undefined
  do {
    const page = await call.describe({ kind: keyPairKind, ids, filters: input.Filters, filterNames, nextToken })
    keyPairs.push(...page.items)
    nextToken = page.nextToken
  } while (nextToken !== undefined)
  return { KeyPairs: keyPairs.map((keyPair) => showKeyPair(keyPair, input.IncludePublicKey === true)) }
}

const filterNames = ["fingerprint", "key-name", "key-pair-id"]

/** DeleteKeyPair, by name or by id. One that is not there is as good as deleted. */
const deleteKeyPair: Handler<"DeleteKeyPair"> = async (input, call) => {
  const { KeyName: name, KeyPairId: id } = input
  if (name === undefined && id === undefined) throw raise("MissingParameter", { name: "KeyName or KeyPairId" })
  if (name !== undefined && id !== undefined)
    throw raise("InvalidParameterCombination", {
      detail: "The parameter KeyName cannot be used with the parameter KeyPairId",
    })
  if (id !== undefined) requireId(keyPairKind, id)
  const keyPair =
    id === undefined ? (await call.list(keyPairKind, "key-name", name ?? ""))[0] : await call.find(keyPairKind, id)
  if (keyPair !== undefined) {
    call.authorize("ec2:DeleteKeyPair", keyPair)
    call.draft.remove(keyPair)
  }
  await call.commit()
  return { Return: true, ...(keyPair === undefined ? {} : { KeyPairId: keyPair.id }) }
}

/** The key pair of this name, or InvalidKeyPair.NotFound. For whoever launches with it. */
export async function requireKeyPair(call: Call, name: string): Promise<Resource<KeyPairRecord>> {
  const [keyPair] = await call.list(keyPairKind, "key-name", name)
  if (keyPair === undefined) throw raise("InvalidKeyPair.NotFound", { name })
  return keyPair
}

async function idsOf(call: Call, names: readonly string[]): Promise<readonly string[]> {
  const unique = [...new Set(names)]
  if (unique.length > 1000) throw raise("InvalidParameterValue", { detail: "At most 1000 key names can be given" })
  const found = unique.length === 0 ? [] : await call.list(keyPairKind, "key-name", ...unique)
  const missing = unique.filter((name) => !found.some((keyPair) => keyPair.record.name === name))
  if (missing.length === 1) throw raise("InvalidKeyPair.NotFound", { name: missing[0] })
  if (missing.length > 1)
    throw notFound({ notFound: [keyPairKind.notFound[0], "The key pairs '{id}' do not exist"] }, missing.join(", "))
  return found.map((keyPair) => keyPair.id)
}

const nameScope = (call: Call) => `key-pair-name:${call.account}:${call.region}`

/** InvalidKeyPair.Duplicate; KeyPairLimitExceeded where the region has all that it may have. */
async function requireRoomFor(call: Call, name: string): Promise<void> {
  const scope = nameScope(call)
  if ((await call.store.claims(scope, [name])).length > 0) throw raise("InvalidKeyPair.Duplicate")
  const count = (await call.store.countClaims([scope])).get(scope) ?? 0
  if (count >= maxPerRegion) throw raise("KeyPairLimitExceeded")
}

function draftKeyPair(call: Call, record: KeyPairRecord): Resource<KeyPairRecord> {
  const keyPair = call.draft.create(keyPairKind, record)
  call.draft.claim(nameScope(call), record.name, keyPair.id)
  return keyPair
}

/** Up to 255 printable ASCII characters, none of them a space at either end: the name also goes into key files. */
function readName(name: string | undefined): string {
  if (name === undefined || name === "") throw raise("MissingParameter", { name: "KeyName" })
  if (name.length > maxNameLength || !/^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(name))
    throw raise("InvalidParameterValue", {
      detail: `Value (${name}) for parameter KeyName is invalid. A key name has at most ${maxNameLength} ASCII characters and no leading or trailing spaces`,
    })
  return name
}

/** The value given, the first one if none was, InvalidParameterValue for another. */
function oneOf<const T extends string>(parameter: string, value: string | undefined, allowed: readonly [T, ...T[]]): T {
  const found = value === undefined ? allowed[0] : allowed.find((one) => one === value)
  if (found === undefined)
    throw raise("InvalidParameterValue", {
      detail: `Value (${value}) for parameter ${parameter} is invalid. Valid values: ${allowed.join(", ")}`,
    })
  return found
}

const showMade = (keyPair: Resource<KeyPairRecord>) => ({
  KeyPairId: keyPair.id,
  KeyName: keyPair.record.name,
  KeyFingerprint: keyPair.record.fingerprint,
  Tags: toTags(keyPair.record.tags),
})

const showKeyPair = (keyPair: Resource<KeyPairRecord>, withPublicKey: boolean) => ({
  ...showMade(keyPair),
  KeyType: keyPair.record.type satisfies KeyType,
  Tags: listTags(keyPair.record.tags),
  CreateTime: new Date(keyPair.record.createdMs),
  ...(withPublicKey ? { PublicKey: keyPair.record.publicKey } : {}),
})

export const handlers = {
  CreateKeyPair: createKeyPair,
  ImportKeyPair: importKeyPair,
  DescribeKeyPairs: pure(describeKeyPairs),
  DeleteKeyPair: deleteKeyPair,
} satisfies Handlers
