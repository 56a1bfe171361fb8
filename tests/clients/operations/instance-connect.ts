/** EC2 Instance Connect: what is accepted and refused; that guests read the keys is shown in service.test.ts and with real guests. */
import assert from "node:assert/strict"
import { generateKeyPairSync } from "node:crypto"
import { toAuthorizedKey } from "#services/ec2/key-pairs/public-key.ts"
import type { Check } from "./checks.ts"
import type { Done } from "./cloud.ts"

const newKey = () => toAuthorizedKey(generateKeyPairSync("ed25519").publicKey, "me")
const nowhere = "i-00000000000000000"

export const instanceConnect: Readonly<Record<Done<"ec2-instance-connect">, Check>> = {
  async SendSSHPublicKey(cloud) {
    const { ec2, launch, daemon, refusalOf } = cloud
    const [InstanceId] = await launch({ Placement: { AvailabilityZone: "us-east-1a" } })
    const asked = { InstanceId, InstanceOSUser: "ec2-user", SSHPublicKey: newKey() }
    const sent = await cloud["ec2-instance-connect"]("SendSSHPublicKey", asked)
    assert.equal(sent.Success, true)
    assert.match(sent.RequestId ?? "", /^[0-9a-f-]{36}$/)
    await cloud["ec2-instance-connect"]("SendSSHPublicKey", { ...asked, AvailabilityZone: "us-east-1a" })
    const refused = (input: object) => refusalOf("ec2-instance-connect", "SendSSHPublicKey", { ...asked, ...input })
    for (const SSHPublicKey of [
      "ssh-ed25519 AAAA",
      newKey().slice(0, -12),
      `ssh-rsa ${"A".repeat(300)}`,
      "x".repeat(4097),
    ])
      assert.equal(await refused({ SSHPublicKey }), "400 InvalidArgsException", SSHPublicKey)
    const short = generateKeyPairSync("rsa", { modulusLength: 1024 }).publicKey
    assert.equal(await refused({ SSHPublicKey: toAuthorizedKey(short, "me") }), "400 InvalidArgsException")
    for (const InstanceOSUser of ["", "0", "007", "../root", "a/b", "x".repeat(33)])
      assert.equal(await refused({ InstanceOSUser }), "400 InvalidArgsException", InstanceOSUser)
    assert.equal(await refused({ InstanceId: "instance" }), "400 InvalidArgsException")
    assert.equal(await refused({ InstanceId: nowhere }), "400 EC2InstanceNotFoundException")
    assert.equal(await refused({ AvailabilityZone: "us-east-1b" }), "400 EC2InstanceNotFoundException")
    await ec2("StopInstances", { InstanceIds: [InstanceId] })
    await daemon.settled()
    assert.equal(await refused({}), "400 EC2InstanceStateInvalidException")
  },

  async SendSerialConsoleSSHPublicKey(cloud) {
    const { ec2, launch, daemon, refusalOf } = cloud
    const operation = "SendSerialConsoleSSHPublicKey"
    const [InstanceId] = await launch()
    const [xen] = await launch({ InstanceType: "t2.micro" })
    const asked = { InstanceId, SerialPort: 0, SSHPublicKey: newKey() }
    const refused = (input: object) => refusalOf("ec2-instance-connect", operation, { ...asked, ...input })
    assert.equal(await refused({}), "400 SerialConsoleAccessDisabledException")
    await ec2("EnableSerialConsoleAccess", {})
    // A simulated instance has no port behind it; a real one's is spoken to in tests/vm/serial-console.faults.test.ts.
    assert.equal(await refused({}), "400 UnsupportedOperation")
    assert.equal(await refused({ SSHPublicKey: newKey().slice(0, -12) }), "400 InvalidArgsException")
    assert.equal(await refused({ SerialPort: 1 }), "400 InvalidArgsException")
    assert.equal(await refused({ InstanceId: "instance" }), "400 InvalidArgsException")
    assert.equal(await refused({ InstanceId: nowhere }), "400 EC2InstanceNotFoundException")
    assert.equal(await refused({ InstanceId: xen }), "400 EC2InstanceTypeInvalidException")
    await ec2("StopInstances", { InstanceIds: [InstanceId] })
    await daemon.settled()
    assert.equal(await refused({}), "400 EC2InstanceStateInvalidException")
    await ec2("DisableSerialConsoleAccess", {})
  },
}
