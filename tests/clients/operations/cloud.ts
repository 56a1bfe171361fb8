/** The JavaScript SDK against one daemon, which notes every operation that was served and every one that was refused. */
import * as ec2 from "@aws-sdk/client-ec2"
import * as sts from "@aws-sdk/client-sts"
import type { handlers as ec2Handlers } from "#services/ec2/service.ts"
import type { handlers as stsHandlers } from "#services/sts/service.ts"
import { type SimDaemon, startSimDaemon } from "#tests/rig/daemon.ts"
import type { Input, Operation, Output } from "#wire/typed.ts"

export type Ec2Operation = keyof typeof ec2Handlers & Operation<typeof ec2>
export type StsOperation = keyof typeof stsHandlers & Operation<typeof sts>

export interface TestCloud {
  readonly daemon: SimDaemon
  /** "ec2:RunInstances" of every call that was answered with 200. */
  readonly served: ReadonlySet<string>
  /** "ec2:RunInstances" of every call that was answered with an error. */
  readonly refused: ReadonlySet<string>
  /** An image that can be launched. */
  readonly image: string
  readonly ec2: <O extends Ec2Operation>(operation: O, input: Input<typeof ec2, O>) => Promise<Output<typeof ec2, O>>
  readonly sts: <O extends StsOperation>(operation: O, input: Input<typeof sts, O>) => Promise<Output<typeof sts, O>>
  /** A call that must be refused: "400 InvalidVpcID.NotFound". Throws if it is served. */
  readonly refusal: <O extends Ec2Operation>(operation: O, input: Input<typeof ec2, O>) => Promise<string>
  /** Launches, waits until nothing is pending, gives the ids. */
  readonly launch: (more?: Partial<Input<typeof ec2, "RunInstances">>) => Promise<readonly [string, ...string[]]>
  /** A name that nothing else here has. */
  readonly name: () => string
  close(): Promise<void>
}

type Sender = { send(command: object): Promise<object> }
type Commands = Readonly<Record<string, new (input: object) => object>>

/** Starts a daemon and gives a client of it. */
export async function openTestCloud(): Promise<TestCloud> {
  const daemon = await startSimDaemon()
  const configuration = {
    endpoint: daemon.endpoint,
    region: "us-east-1",
    credentials: daemon.credentials,
    maxAttempts: 1,
  }
  const clients = { ec2: new ec2.EC2Client(configuration), sts: new sts.STSClient(configuration) }
  const modules = { ec2, sts } as unknown as Readonly<Record<"ec2" | "sts", Commands>>
  const served = new Set<string>()
  const refused = new Set<string>()
  const send = async (service: "ec2" | "sts", operation: string, input: object): Promise<object> => {
    const Command = modules[service][`${operation}Command`]
    if (Command === undefined) throw new Error(`the SDK has no ${operation}`)
    try {
      const { $metadata: _, ...answer } = (await (clients[service] as Sender).send(new Command(input))) as {
        readonly $metadata: unknown
      }
      served.add(`${service}:${operation}`)
      return answer
    } catch (error) {
      if (isRefusal(error)) refused.add(`${service}:${operation}`)
      throw error
    }
  }
  let names = 0
  const cloud: TestCloud = {
    daemon,
    served,
    refused,
    image: "",
    // The SDK's own command gives what its types say.
    ec2: async (operation, input) => (await send("ec2", operation, input as object)) as never,
    sts: async (operation, input) => (await send("sts", operation, input as object)) as never,
    async refusal(operation, input) {
      try {
        await send("ec2", operation, input as object)
      } catch (error) {
        if (isRefusal(error)) return `${error.$metadata.httpStatusCode} ${error.name}`
        throw error
      }
      throw new Error(`${operation} ${JSON.stringify(input)} was served`)
    },
    async launch(more = {}) {
      const one = { ImageId: cloud.image, InstanceType: "t3.micro", MinCount: 1, MaxCount: 1 } as const
      const { Instances = [] } = await cloud.ec2("RunInstances", { ...one, ...more })
      await daemon.settled()
      const [first = "", ...others] = Instances.map((instance) => instance.InstanceId ?? "")
      return [first, ...others]
    },
    name: () => `name-${++names}`,
    async close() {
      clients.ec2.destroy()
      clients.sts.destroy()
      await daemon.stop()
    },
  }
  const { Images: [image] = [] } = await cloud.ec2("DescribeImages", { Owners: ["amazon"] })
  return Object.assign(cloud, { image: image?.ImageId ?? "" })
}

const isRefusal = (error: unknown): error is ec2.EC2ServiceException | sts.STSServiceException =>
  error instanceof ec2.EC2ServiceException || error instanceof sts.STSServiceException
