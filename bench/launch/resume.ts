/** A guest that hibernates and goes on: from StartInstances to the ssh banner. One guest, again and again. */
import {
  type EC2Client,
  type InstanceStateName,
  DescribeInstancesCommand,
  RunInstancesCommand,
  StartInstancesCommand,
  StopInstancesCommand,
} from "@aws-sdk/client-ec2"
import { type Contact, firstContact } from "./first-contact.ts"

const deadlineMs = 120_000

export interface Sleeper {
  /** Hibernates it, then has it go on. Milliseconds from StartInstances on. */
  resume(): Promise<Contact>
}

/** Resolves when it has been logged in to: what hibernates then is a guest in use. */
export async function launchSleeper(
  ec2: EC2Client,
  wanted: { readonly image: string; readonly keyName: string; readonly key: string },
): Promise<Sleeper> {
  const started = performance.now()
  const { Instances = [] } = await ec2.send(
    new RunInstancesCommand({
      ImageId: wanted.image,
      InstanceType: "t3.micro",
      KeyName: wanted.keyName,
      MinCount: 1,
      MaxCount: 1,
      HibernationOptions: { Configured: true },
      BlockDeviceMappings: [{ DeviceName: "/dev/xvda", Ebs: { Encrypted: true } }],
    }),
  )
  const id = Instances[0]?.InstanceId ?? ""
  const look = async () => {
    const { Reservations = [] } = await ec2.send(new DescribeInstancesCommand({ InstanceIds: [id] }))
    return Reservations[0]?.Instances?.[0]
  }
  const until = async (state: InstanceStateName) => {
    const end = performance.now() + deadlineMs
    while ((await look())?.State?.Name !== state) {
      if (performance.now() > end) throw new Error(`${id} is not ${state}`)
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }
  const contact = async (since: number) => {
    const address = (await look())?.PublicIpAddress
    if (address === undefined) throw new Error(`${id} has no public address`)
    return firstContact({ address, user: "ec2-user", key: wanted.key }, since, deadlineMs)
  }
  await contact(started)
  return {
    async resume() {
      await until("running")
      await ec2.send(new StopInstancesCommand({ InstanceIds: [id], Hibernate: true }))
      await until("stopped")
      const reason = (await look())?.StateReason?.Code
      if (reason !== "Client.UserInitiatedHibernate") throw new Error(`${id} did not hibernate: ${reason}`)
      const since = performance.now()
      await ec2.send(new StartInstancesCommand({ InstanceIds: [id] }))
      return contact(since)
    },
  }
}
