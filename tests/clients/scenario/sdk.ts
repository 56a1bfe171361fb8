/** The JavaScript SDK v3. */
import * as ec2 from "@aws-sdk/client-ec2"
import * as sts from "@aws-sdk/client-sts"
import type { Access, Answer, Client, Service } from "./client.ts"

const waitS = { minDelay: 1, maxDelay: 1, maxWaitTime: 30 }

export function openSdk({ endpoint, credentials }: Access): Client {
  const configuration = { endpoint, region: "us-east-1", credentials, maxAttempts: 1 }
  const clients = { ec2: new ec2.EC2Client(configuration), sts: new sts.STSClient(configuration) }
  return {
    name: "JavaScript SDK",
    call: ({ service, operation, input }) =>
      answerOf(async () =>
        decoded(operation, await send(clients[service], service, operation, encoded(operation, input))),
      ),
    wait: (waiter, input) =>
      answerOf(async () => {
        const wait = (ec2 as unknown as Record<string, Waiter | undefined>)[`waitUntil${waiter}`]
        if (wait === undefined) throw new Error(`the SDK has no waiter ${waiter}`)
        const { state } = await wait({ client: clients.ec2, ...waitS }, input)
        return { state }
      }),
    async close() {
      clients.ec2.destroy()
      clients.sts.destroy()
    },
  }
}

type Waiter = (options: object, input: object) => Promise<{ readonly state: string }>
type Members = Readonly<Record<string, unknown>>

async function send(client: object, service: Service, operation: string, input: object): Promise<Members> {
  const commands = (service === "ec2" ? ec2 : sts) as unknown as Record<
    string,
    (new (input: object) => object) | undefined
  >
  const Command = commands[`${operation}Command`]
  if (Command === undefined) throw new Error(`the SDK has no ${operation}`)
  const sender = client as { send(command: object): Promise<Members> }
  const { $metadata: _, ...result } = await sender.send(new Command(input))
  return result
}

/** The CLI and boto3 write user data and read the console's output in base64 by themselves; this SDK leaves it to its user. */
function encoded(operation: string, input: Members): Members {
  if (operation !== "RunInstances" || typeof input["UserData"] !== "string") return input
  return { ...input, UserData: Buffer.from(input["UserData"]).toString("base64") }
}
function decoded(operation: string, result: Members): Members {
  if (operation !== "GetConsoleOutput" || typeof result["Output"] !== "string") return result
  return { ...result, Output: Buffer.from(result["Output"], "base64").toString() }
}

async function answerOf(work: () => Promise<Members>): Promise<Answer> {
  try {
    // Through JSON, as the other clients: dates become text, members without a value go.
    return { result: JSON.parse(JSON.stringify(await work())) }
  } catch (error) {
    if (!(error instanceof ec2.EC2ServiceException) && !(error instanceof sts.STSServiceException)) throw error
    return { error: { code: error.name, message: error.message } }
  }
}
