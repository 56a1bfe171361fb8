/** One account cannot see, use or change what is another's, nor what is its own in another region: to it, that does not exist. */
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { microImage } from "#images/catalog.ts"
import { type SimDaemon, startSimDaemon } from "../rig/daemon.ts"
import { type Client, createClient } from "./client.ts"
import { signer } from "./sign.ts"
import { findAll } from "./xml.ts"

const launch = { ImageId: microImage.id, InstanceType: "t3.micro", MinCount: 1, MaxCount: 1 }

let daemon: SimDaemon
/** The owner; another account; the owner in another region. */
let owner: Client
let stranger: Client
let elsewhere: Client
let own: Readonly<
  Record<"instance" | "group" | "rule" | "subnet" | "vpc" | "volume" | "eni" | "key" | "window", string>
>

before(async () => {
  daemon = await startSimDaemon()
  const { endpoint, credentials } = daemon
  const made = await fetch(`${endpoint}/_fractus/accounts`, {
    method: "POST",
    headers: { "x-fractus-token": credentials.controlToken },
    body: JSON.stringify({ name: "stranger" }),
  })
  assert.equal(made.status, 200)
  const keys = (await made.json()) as { accessKeyId: string; secretAccessKey: string; account: string }
  assert.notEqual(keys.account, credentials.account)
  const clientOf = (who: { accessKeyId: string; secretAccessKey: string }, region: string) =>
    createClient(endpoint, { sign: signer(endpoint, { ...who, region }) })
  owner = clientOf(credentials, "us-east-1")
  stranger = clientOf(keys, "us-east-1")
  elsewhere = clientOf(credentials, "eu-west-1")
  own = await furnish(owner)
  await daemon.settled()
})
after(async () => {
  for (const client of [owner, stranger, elsewhere]) client.close()
  await daemon.stop()
})

async function furnish(client: Client): Promise<typeof own> {
  const first = async (name: string, action: string, parameters = {}) =>
    findAll(await client.ok(action, parameters), name)[0]?.text ?? assert.fail(`${action} gives no ${name}`)
  const group = await first("groupId", "CreateSecurityGroup", { GroupName: "shared-name", GroupDescription: "x" })
  const rule = { GroupId: group, IpProtocol: "tcp", FromPort: 22, ToPort: 22, CidrIp: "192.0.2.0/24" }
  const key = await first("keyPairId", "CreateKeyPair", { KeyName: "shared-name", KeyType: "ed25519" })
  return {
    group,
    key,
    rule: await first("securityGroupRuleId", "AuthorizeSecurityGroupIngress", rule),
    instance: await first("instanceId", "RunInstances", {
      ...launch,
      "SecurityGroupId.1": group,
      KeyName: "shared-name",
    }),
    subnet: await first("subnetId", "DescribeSubnets"),
    window: await first("instanceEventWindowId", "CreateInstanceEventWindow", { CronExpression: "* 0-4 * * 0" }),
    vpc: await first("vpcId", "DescribeVpcs"),
    volume: await first("volumeId", "DescribeVolumes"),
    eni: await first("networkInterfaceId", "DescribeNetworkInterfaces"),
  }
}

/** Calls that name what is the owner's, and what they answer to everybody else. */
function trespasses(): readonly (readonly [
  action: string,
  parameters: Readonly<Record<string, string>>,
  code: string,
])[] {
  const { instance, group, rule, subnet, vpc, volume, eni, key, window } = own
  const run = { ...launch, MinCount: "1", MaxCount: "1" }
  const port = { IpProtocol: "tcp", FromPort: "23", ToPort: "23" }
  const tag = { "Tag.1.Key": "a", "Tag.1.Value": "b" }
  const noInstance = "InvalidInstanceID.NotFound"
  const noWindow = "InvalidInstanceEventWindowID.NotFound"
  const noGroup = "InvalidGroup.NotFound"
  const stolen = { "IpPermissions.1.IpProtocol": "tcp", "IpPermissions.1.FromPort": "1", "IpPermissions.1.ToPort": "1" }
  return [
    ...["Describe", "Start", "Stop", "Reboot", "Terminate"].map(
      (verb) => [`${verb}Instances`, { "InstanceId.1": instance }, noInstance] as const,
    ),
    ["GetConsoleOutput", { InstanceId: instance }, noInstance],
    ["DescribeInstanceStatus", { "InstanceId.1": instance }, noInstance],
    ["DescribeInstanceAttribute", { InstanceId: instance, Attribute: "userData" }, noInstance],
    ["ModifyInstanceAttribute", { InstanceId: instance, "DisableApiStop.Value": "true" }, noInstance],
    ["ResetInstanceAttribute", { InstanceId: instance, Attribute: "sourceDestCheck" }, noInstance],
    ["MonitorInstances", { "InstanceId.1": instance }, noInstance],
    ["UnmonitorInstances", { "InstanceId.1": instance }, noInstance],
    ["ModifyInstanceMaintenanceOptions", { InstanceId: instance, AutoRecovery: "disabled" }, noInstance],
    ["ModifyInstanceMetadataOptions", { InstanceId: instance, HttpTokens: "required" }, noInstance],
    ["ModifyInstancePlacement", { InstanceId: instance, Affinity: "default" }, noInstance],
    ["DescribeInstanceCreditSpecifications", { "InstanceId.1": instance }, noInstance],
    ["DescribeInstanceTopology", { "InstanceId.1": instance }, noInstance],
    ["GetPasswordData", { InstanceId: instance }, noInstance],
    ["DescribeInstanceEventWindows", { "InstanceEventWindowId.1": window }, noWindow],
    ["ModifyInstanceEventWindow", { InstanceEventWindowId: window, Name: "mine" }, noWindow],
    ["DeleteInstanceEventWindow", { InstanceEventWindowId: window, ForceDelete: "true" }, noWindow],
    ["RunInstances", { ...run, SubnetId: subnet }, "InvalidSubnetID.NotFound"],
    ["RunInstances", { ...run, "SecurityGroupId.1": group }, noGroup],
    ["RunInstances", { ...run, "SecurityGroup.1": "shared-name" }, noGroup],
    ["RunInstances", { ...run, KeyName: "shared-name" }, "InvalidKeyPair.NotFound"],
    ["CreateSecurityGroup", { GroupName: "g", GroupDescription: "x", VpcId: vpc }, "InvalidVpcID.NotFound"],
    ["DescribeSecurityGroups", { "GroupId.1": group }, noGroup],
    ["DescribeSecurityGroupRules", { "SecurityGroupRuleId.1": rule }, "InvalidSecurityGroupRuleId.NotFound"],
    ["DeleteSecurityGroup", { GroupId: group }, noGroup],
    ["AuthorizeSecurityGroupIngress", { GroupId: group, ...port, CidrIp: "0.0.0.0/0" }, noGroup],
    ["RevokeSecurityGroupIngress", { GroupId: group, "SecurityGroupRuleId.1": rule }, noGroup],
    [
      "AuthorizeSecurityGroupIngress",
      { GroupName: "default", ...stolen, "IpPermissions.1.Groups.1.GroupId": group },
      noGroup,
    ],
    ["DescribeKeyPairs", { "KeyPairId.1": key }, "InvalidKeyPair.NotFound"],
    ["DescribeKeyPairs", { "KeyName.1": "shared-name" }, "InvalidKeyPair.NotFound"],
    ["DescribeSubnets", { "SubnetId.1": subnet }, "InvalidSubnetID.NotFound"],
    ["DescribeVpcs", { "VpcId.1": vpc }, "InvalidVpcID.NotFound"],
    ["DescribeVolumes", { "VolumeId.1": volume }, "InvalidVolume.NotFound"],
    ["DescribeNetworkInterfaces", { "NetworkInterfaceId.1": eni }, "InvalidNetworkInterfaceID.NotFound"],
    ["CreateTags", { "ResourceId.1": instance, ...tag }, noInstance],
    ["CreateTags", { "ResourceId.1": volume, ...tag }, "InvalidVolume.NotFound"],
    ["CreateTags", { "ResourceId.1": group, ...tag }, noGroup],
    ["CreateTags", { "ResourceId.1": vpc, ...tag }, "InvalidVpcID.NotFound"],
  ]
}

/** All that one account and region has, save the ids of the answers themselves. */
async function everything(client: Client): Promise<string> {
  const actions =
    "Instances Volumes NetworkInterfaces SecurityGroups SecurityGroupRules KeyPairs Vpcs Subnets Tags InstanceEventWindows".split(
      " ",
    )
  const answers = await Promise.all(actions.map((what) => client.ok(`Describe${what}`)))
  return JSON.stringify(answers.map(({ children }) => children.filter(({ name }) => name !== "requestId")))
}

for (const [who, clientOf] of [
  ["another account", () => stranger],
  ["another region", () => elsewhere],
] as const)
  test(`to ${who} nothing of it exists`, async () => {
    const client = clientOf()
    const before = await everything(owner)
    for (const [action, parameters, code] of trespasses()) {
      const answer = await client.call(action, parameters)
      assert.equal(answer.code, code, `${action} ${JSON.stringify(parameters)}: ${answer.message}`)
    }
    await client.ok("DeleteKeyPair", { KeyName: "shared-name" })
    await client.call("DeleteKeyPair", { KeyPairId: own.key })
    await client.call("DeleteTags", { "ResourceId.1": own.instance })
    const seen = await everything(client)
    for (const id of Object.values(own)) assert.ok(!seen.includes(id), `${id} is seen`)
    assert.equal(await everything(owner), before)
  })

test("names are each account's and each region's own", async () => {
  for (const client of [stranger, elsewhere]) {
    await client.ok("CreateSecurityGroup", { GroupName: "shared-name", GroupDescription: "x" })
    await client.ok("CreateKeyPair", { KeyName: "shared-name", KeyType: "ed25519" })
    assert.equal((await client.call("CreateKeyPair", { KeyName: "shared-name" })).code, "InvalidKeyPair.Duplicate")
    const token = { ...launch, ClientToken: "shared-token", DryRun: false }
    const [made] = findAll(await client.ok("RunInstances", token), "instanceId")
    const [again] = findAll(await client.ok("RunInstances", token), "instanceId")
    assert.equal(again?.text, made?.text)
    assert.notEqual(made?.text, own.instance)
  }
})
