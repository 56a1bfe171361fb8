/** A guest that may hibernate, and its states. */
import { type Instance, RunInstancesCommand } from "@aws-sdk/client-ec2"
import { type Cloud, until } from "./cloud.ts"

/** Gives its id. */
export async function launchHibernatable(cloud: Cloud, type: "t3.nano" | "t3.micro"): Promise<string> {
  const { Instances: [launched] = [] } = await cloud.client.send(
    new RunInstancesCommand({
      ImageId: cloud.imageId,
      InstanceType: type,
      KeyName: "test",
      MinCount: 1,
      MaxCount: 1,
      HibernationOptions: { Configured: true },
      BlockDeviceMappings: [{ DeviceName: "/dev/xvda", Ebs: { Encrypted: true } }],
    }),
  )
  return launched?.InstanceId ?? ""
}

export const untilState = (cloud: Cloud, id: string, state: string): Promise<Instance> =>
  until(`${id} to be ${state}`, 180_000, async () => {
    const instance = (await cloud.instances()).find((each) => each.InstanceId === id)
    return instance?.State?.Name === state ? instance : undefined
  })
