/** The JavaScript SDK against one daemon, which notes every operation that was served and every one that was refused. */
import * as account from "@aws-sdk/client-account"
import * as ec2 from "@aws-sdk/client-ec2"
import * as instanceConnect from "@aws-sdk/client-ec2-instance-connect"
import * as servicequotas from "@aws-sdk/client-service-quotas"
import * as ssm from "@aws-sdk/client-ssm"
import * as tagging from "@aws-sdk/client-resource-groups-tagging-api"
import * as cloudtrail from "@aws-sdk/client-cloudtrail"
import * as s3 from "@aws-sdk/client-s3"
import * as sts from "@aws-sdk/client-sts"
import type { handlers as accountHandlers } from "#services/account/service.ts"
import type { handlers as ec2Handlers } from "#services/ec2/service.ts"
import type { handlers as instanceConnectHandlers } from "#services/ec2-instance-connect/service.ts"
import type { handlers as servicequotasHandlers } from "#services/servicequotas/service.ts"
import type { handlers as ssmHandlers } from "#services/ssm/service.ts"
import type { handlers as taggingHandlers } from "#services/tagging/service.ts"
import type { handlersOf as cloudtrailHandlers } from "#services/cloudtrail/service.ts"
import type { handlersOf as s3Handlers } from "#services/s3/service.ts"
import type { handlers as stsHandlers } from "#services/sts/service.ts"
import { type SimDaemon, startSimDaemon } from "#tests/rig/daemon.ts"
import type { Input, Operation, Output } from "#wire/typed.ts"

/** By the name of each service here: the SDK's module. */
const sdks = { ec2, "ec2-instance-connect": instanceConnect, sts, ssm, servicequotas, tagging, cloudtrail, s3, account }
type Sdks = typeof sdks
interface Tables {
  ec2: typeof ec2Handlers
  sts: typeof stsHandlers
  ssm: typeof ssmHandlers
  "ec2-instance-connect": typeof instanceConnectHandlers
  servicequotas: typeof servicequotasHandlers
  tagging: typeof taggingHandlers
  cloudtrail: ReturnType<typeof cloudtrailHandlers>
  s3: ReturnType<typeof s3Handlers>
  account: typeof accountHandlers
}
export type ServiceName = keyof Sdks

/** The operations of a service that are done. */
export type Done<S extends ServiceName> = keyof Tables[S] & Operation<Sdks[S]>
export type Ec2Operation = Done<"ec2">
type Sends<S extends ServiceName> = <O extends Done<S>>(
  operation: O,
  input: Input<Sdks[S], O>,
) => Promise<Output<Sdks[S], O>>

export interface TestCloud {
  readonly daemon: SimDaemon
  /** "ec2:RunInstances" of every call that was answered with 200. */
  readonly served: ReadonlySet<string>
  /** "ec2:RunInstances" of every call that was answered with an error. */
  readonly refused: ReadonlySet<string>
  /** An image that can be launched. */
  readonly image: string
  readonly ec2: Sends<"ec2">
  readonly sts: Sends<"sts">
  readonly s3: Sends<"s3">
  readonly cloudtrail: Sends<"cloudtrail">
  readonly tagging: Sends<"tagging">
  readonly ssm: Sends<"ssm">
  readonly "ec2-instance-connect": Sends<"ec2-instance-connect">
  readonly servicequotas: Sends<"servicequotas">
  readonly account: Sends<"account">
  /** A call that must be refused: "400 InvalidVpcID.NotFound". Throws if it is served. */
  readonly refusal: <O extends Ec2Operation>(operation: O, input: Input<typeof ec2, O>) => Promise<string>
  /** The same of any service, whatever it is given. */
  readonly refusalOf: <S extends ServiceName>(service: S, operation: Done<S>, input: object) => Promise<string>
  /** Launches, waits until nothing is pending, gives the ids. */
  readonly launch: (more?: Partial<Input<typeof ec2, "RunInstances">>) => Promise<readonly [string, ...string[]]>
  /** Another account of the same cloud. */
  readonly stranger: () => Promise<{ readonly account: string; readonly ec2: Sends<"ec2"> }>
  /** A name that nothing else here has. */
  readonly name: () => string
  close(): Promise<void>
}

type Sender = { send(command: object): Promise<object> }
type Commands = Readonly<Record<string, new (input: object) => object>>

/** More than the checks launch. */
export const vcpuLimit = 5000

/** Starts a daemon and gives a client of it. */
export async function openTestCloud(): Promise<TestCloud> {
  const daemon = await startSimDaemon({ vcpuLimit })
  const configuration = {
    endpoint: daemon.endpoint,
    region: "us-east-1",
    credentials: daemon.credentials,
    maxAttempts: 1,
  }
  const clients: Readonly<Record<ServiceName, { destroy(): void }>> = {
    ec2: new ec2.EC2Client(configuration),
    sts: new sts.STSClient(configuration),
    s3: new s3.S3Client({ ...configuration, forcePathStyle: true }),
    cloudtrail: new cloudtrail.CloudTrailClient(configuration),
    tagging: new tagging.ResourceGroupsTaggingAPIClient(configuration),
    ssm: new ssm.SSMClient(configuration),
    "ec2-instance-connect": new instanceConnect.EC2InstanceConnectClient(configuration),
    servicequotas: new servicequotas.ServiceQuotasClient(configuration),
    account: new account.AccountClient(configuration),
  }
  const modules = sdks as unknown as Readonly<Record<ServiceName, Commands>>
  const served = new Set<string>()
  const refused = new Set<string>()
  const strangers: ec2.EC2Client[] = []
  const send = async (
    service: ServiceName,
    operation: string,
    input: object,
    client: object = clients[service],
  ): Promise<object> => {
    const Command = modules[service][`${operation}Command`]
    if (Command === undefined) throw new Error(`the SDK has no ${operation}`)
    try {
      const { $metadata: _, ...answer } = (await (client as Sender).send(new Command(input))) as {
        readonly $metadata: unknown
      }
      served.add(`${service}:${operation}`)
      return answer
    } catch (error) {
      if (isRefusal(error)) refused.add(`${service}:${operation}`)
      throw error
    }
  }
  const refusalOf = async (service: ServiceName, operation: string, input: object): Promise<string> => {
    try {
      await send(service, operation, input)
    } catch (error) {
      if (isRefusal(error)) return `${error.$metadata.httpStatusCode} ${error.name}`
      throw error
    }
    throw new Error(`${operation} ${JSON.stringify(input)} was served`)
  }
  // The SDK's own command gives what its types say.
  const sender = (service: ServiceName) => async (operation: string, input: unknown) =>
    (await send(service, operation, input as object)) as never
  let names = 0
  const cloud: TestCloud = {
    daemon,
    served,
    refused,
    image: "",
    ec2: sender("ec2"),
    sts: sender("sts"),
    s3: sender("s3"),
    cloudtrail: sender("cloudtrail"),
    tagging: sender("tagging"),
    ssm: sender("ssm"),
    "ec2-instance-connect": sender("ec2-instance-connect"),
    servicequotas: sender("servicequotas"),
    account: sender("account"),
    refusal: (operation, input) => refusalOf("ec2", operation, input as object),
    refusalOf,
    async launch(more = {}) {
      const one = { ImageId: cloud.image, InstanceType: "t3.micro", MinCount: 1, MaxCount: 1 } as const
      const { Instances = [] } = await cloud.ec2("RunInstances", { ...one, ...more })
      await daemon.settled()
      const [first = "", ...others] = Instances.map((instance) => instance.InstanceId ?? "")
      return [first, ...others]
    },
    async stranger() {
      const made = await fetch(`${daemon.endpoint}/_fractus/accounts`, {
        method: "POST",
        headers: { "x-fractus-token": daemon.credentials.controlToken },
        body: JSON.stringify({ name: "stranger" }),
      })
      const { account, ...credentials } = (await made.json()) as StrangerKeys
      const client = new ec2.EC2Client({ ...configuration, credentials })
      strangers.push(client)
      return {
        account,
        ec2: async (operation, input) => (await send("ec2", operation, input as object, client)) as never,
      }
    },
    name: () => `name-${++names}`,
    async close() {
      for (const client of [...Object.values(clients), ...strangers]) client.destroy()
      await daemon.stop()
    },
  }
  const { Images: [image] = [] } = await cloud.ec2("DescribeImages", { Owners: ["amazon"] })
  return Object.assign(cloud, { image: image?.ImageId ?? "" })
}

interface StrangerKeys {
  readonly account: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
}

interface Refusal {
  readonly name: string
  readonly $metadata: { readonly httpStatusCode: number }
}

/** What a server said, and not what the SDK itself did not want to send. */
const isRefusal = (error: unknown): error is Refusal =>
  error instanceof Error && "$metadata" in error && (error as unknown as Refusal).$metadata.httpStatusCode !== undefined
