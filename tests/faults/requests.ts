/** Requests of every operation that is done, from the SDK's own shapes: mostly sensible, as a client would send them. */
import { imageIdOf, microImage } from "#images/catalog.ts"
import { handlers } from "#services/ec2/service.ts"
import { loadSchemas } from "#wire/schema/load.ts"
import { type Member, operationShapes, type Shape } from "#wire/schema/shape.ts"
import type { Random } from "./random.ts"

export type Pair = readonly [name: string, value: string]

export interface FuzzRequest {
  readonly operation: string
  readonly region: string
  readonly pairs: readonly Pair[]
}

/** Ids and names that exist, by the kind of thing they name. */
export type Known = Readonly<Record<string, readonly string[]>>

type Struct = Extract<Shape, { kind: "struct" }>
export type Generator = (known: Known, random: Random) => FuzzRequest

/** A parameter's name -> the values that make sense for it. The first pattern that fits counts. */
const sensible: readonly (readonly [RegExp, (known: Known) => readonly string[]])[] = [
  [/^Instances?(Id)?$|InstanceIds?$/, (known) => known["instance"] ?? []],
  [/^ResourceIds?$|^Resources$/, (known) => Object.values(known).flat()],
  [/ImageIds?$/, () => [microImage.id, imageIdOf("debian-12-x86_64")]],
  [/InstanceTypes?$/, () => ["t3.micro", "m5.large", "t4g.nano", "u-24tb1.112xlarge", "m1.small"]],
  [/(Security)?GroupIds?$|^Groups$/, (known) => known["security-group"] ?? []],
  [/SecurityGroupRuleIds?$/, (known) => known["security-group-rule"] ?? []],
  [/GroupNames?$|^SecurityGroups$/, () => ["default", "fuzz-1", "fuzz-2", "fuzz-3"]],
  [/KeyPairIds?$/, (known) => known["key-pair"] ?? []],
  [/KeyNames?$/, () => ["fuzz-1", "fuzz-2", "fuzz-3"]],
  [/SubnetIds?$/, (known) => known["subnet"] ?? []],
  [/VpcIds?$/, (known) => known["vpc"] ?? []],
  [/VolumeIds?$/, (known) => known["volume"] ?? []],
  [/NetworkInterfaceIds?$/, (known) => known["network-interface"] ?? []],
  [/^(Min|Max)Count$/, () => ["1", "2"]],
  [/^MaxResults$/, () => ["5", "100", "1000"]],
  [/^UserData$/, () => ["IyEvYmluL3NoCg=="]],
  [/^PublicKeyMaterial$/, () => [Buffer.from(publicKey).toString("base64")]],
  [/^CidrIp$|CidrBlock/, () => ["0.0.0.0/0", "10.0.0.0/8", "192.0.2.1/32"]],
  [/^CidrIpv6$/, () => ["::/0", "2001:db8::/32"]],
  [/^IpProtocol$/, () => ["tcp", "udp", "icmp", "-1", "6"]],
  [/Port$/, () => ["22", "80", "443", "-1", "65535"]],
  [/^ResourceType$/, () => ["instance", "volume", "security-group", "key-pair", "network-interface"]],
  [/^AvailabilityZone$|ZoneNames?$/, () => ["us-east-1a", "us-east-1f"]],
  [/^RegionNames?$/, () => ["us-east-1", "eu-west-1"]],
  [/^KeyType$/, () => ["ed25519"]],
  [/^KeyFormat$/, () => ["pem", "ppk"]],
  [/^Attribute$/, () => ["instanceType", "userData", "disableApiTermination", "groupSet", "blockDeviceMapping"]],
  [/^DeviceName$/, () => ["/dev/xvda", "/dev/sdf", "/dev/xvdb"]],
  [/VolumeSize$/, () => ["8", "20"]],
  [/VolumeType$/, () => ["gp2", "gp3", "io2"]],
  [/^ClientToken$/, () => ["token-1", "token-2", "token-3"]],
  [/^DryRun$/, () => ["false", "false", "true"]],
]
const publicKey = `ssh-ed25519 ${Buffer.concat([
  Buffer.from([0, 0, 0, 11]),
  Buffer.from("ssh-ed25519"),
  Buffer.from([0, 0, 0, 32]),
  Buffer.alloc(32, 7),
]).toString("base64")} fuzz`
const filterNames = [
  ..."instance-id instance-state-name tag:a tag-key group-id group-name vpc-id subnet-id key-name status".split(" "),
  ..."ip-permission.cidr availability-zone image-id resource-type state size launch-time is-default".split(" "),
]
const words = ["a", "b", "fuzz-1", "*", "running", "é", "two words"]
/** Operations that make what others work on come more often. */
const frequent = ["RunInstances", "CreateSecurityGroup", "AuthorizeSecurityGroupIngress", "CreateTags", "CreateKeyPair"]
const deepest = 5

/** Loads the shapes once. Every request is of an operation that has a handler. */
export async function createGenerator(): Promise<Generator> {
  const schemas = await loadSchemas("ec2")
  const operations = Object.keys(handlers)
  const shapes = new Map(operations.map((name) => [name, operationShapes(schemas[name]).input]))
  return (known, random) => {
    const operation = random.once(4) ? random.pick(frequent) : random.pick(operations)
    const pairs: Pair[] = []
    const shape = shapes.get(operation)
    if (shape?.kind === "struct") structure(shape, "", 0)
    return { operation, region: random.once(20) ? "eu-west-1" : "us-east-1", pairs }

    function structure(struct: Struct, path: string, depth: number): void {
      const members = struct.members()
      // About one of the members that may be left out, so that few calls fail for what is not done.
      for (const member of members)
        if (member.required || isUsual(member.name, operation) || random.once(Math.max(2, members.length)))
          put(member.shape, path === "" ? nameOf(member) : `${path}.${nameOf(member)}`, member.name, depth + 1)
    }
    function put(shape: Shape, path: string, member: string, depth: number): void {
      if (depth > deepest) return
      if (shape.kind === "struct") structure(shape, path, depth)
      else if (shape.kind === "list")
        for (let index = 1; index <= 1 + random.below(2); index++)
          put(shape.element(), `${path}.${index}`, member, depth + 1)
      else if (shape.kind !== "unit" && shape.kind !== "map") pairs.push([path, scalar(shape.kind, path, member)])
    }
    function scalar(kind: string, path: string, member: string): string {
      if (/Filter\.\d+\.Name$/.test(path)) return random.pick(filterNames)
      const values = sensible.find(([pattern]) => pattern.test(member))?.[1](known) ?? []
      if (values.length > 0) return random.pick(values)
      if (kind === "boolean") return random.pick(["true", "false"])
      if (kind === "number") return String(random.below(100))
      if (kind === "timestamp") return "2026-01-01T00:00:00Z"
      return kind === "blob" ? "AAAA" : random.pick(words)
    }
  }
}

/** What real calls hardly ever leave out, though the model lets them. */
function isUsual(member: string, operation: string): boolean {
  if (operation === "RunInstances") return member === "ImageId" || member === "InstanceType"
  return (
    operation.includes("SecurityGroup") && ["GroupId", "IpProtocol", "FromPort", "ToPort", "CidrIp"].includes(member)
  )
}

function nameOf({ name, names }: Member): string {
  const given = names.ec2QueryName ?? names.xmlName ?? name
  return `${given[0]?.toUpperCase()}${given.slice(1)}`
}
