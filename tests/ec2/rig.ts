/** A cloud over a store in a temporary folder, without wire and without hosts: handlers are called as the wire calls them. */
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { TestContext } from "node:test"
import { type Call, type CallInfo, type Cloud, runCall } from "#cloud/call.ts"
import { newId } from "#cloud/resources/kind.ts"
import { systemClock } from "#lib/clock.ts"
import { Fault } from "#lib/fault.ts"
import type { Input, Operation, Output } from "#services/ec2/handler.ts"
import { createDefaultGroup } from "#services/ec2/security-groups/default.ts"
import { createEc2, type handlers } from "#services/ec2/service.ts"
import { vpcKind } from "#services/ec2/vpcs/record.ts"
import { openSqliteStore } from "#store/sqlite/open.ts"
import type { Commit } from "#store/types.ts"

type Done = Extract<keyof typeof handlers, Operation>

export interface Caller {
  readonly account?: string
  readonly region?: string
}

export interface Rig {
  readonly cloud: Cloud
  /** Commits that changed what a host should do. */
  readonly assigned: readonly Commit[]
  ec2<O extends Done>(operation: O, input: Input<O>, caller?: Caller): Promise<Output<O>>
  /** The same, expecting a Fault: "Code: message". */
  fault<O extends Done>(operation: O, input: Input<O>, caller?: Caller): Promise<string>
  /** A commit made by hand, for what has no operation yet. */
  change<T>(work: (call: Call) => Promise<T> | T): Promise<T>
  /** A VPC that is not the default one, with its default group. */
  otherVpc(): Promise<string>
}

export const account = "123456789012"
export const region = "us-east-1"

const infoOf = (operation: string, caller: Caller = {}): CallInfo => {
  const id = caller.account ?? account
  return {
    requestId: "00000000-0000-4000-8000-000000000000",
    operation,
    region: caller.region ?? region,
    caller: { account: id, arn: `arn:aws:iam::${id}:root`, userId: id },
  }
}

/** Opens it for one test and closes it after. */
export async function openRig(t: TestContext): Promise<Rig> {
  const directory = await mkdtemp(join(tmpdir(), "fractus-ec2-"))
  const store = await openSqliteStore({ directory })
  t.after(async () => {
    await store.close()
    await rm(directory, { recursive: true, force: true })
  })
  const assigned: Commit[] = []
  const cloud: Cloud = {
    store,
    clock: systemClock(),
    sink: (commit) => void assigned.push(commit),
    settings: {
      engine: "sim",
      unknownAmi: "reject",
      capacity: undefined,
      architectures: ["x86_64"],
      publicCidr: "198.18.0.0/24",
    },
    hosts: {
      consoleOutput: async () => Buffer.alloc(0),
      screenshot: async () => Buffer.alloc(0),
      interrupt: async () => {},
    },
  }
  return { cloud, assigned, ...clientOf(cloud) }
}

/** Its handlers, as of a daemon that has just begun: nothing is remembered but what the store holds. */
export function clientOf(cloud: Cloud): Omit<Rig, "cloud" | "assigned"> {
  const service = createEc2(cloud)
  const ec2: Rig["ec2"] = async (operation, input, caller) => {
    const given: object = { ...(input as object) }
    // The dispatcher gives back what the handler of this operation gave.
    return (await service.dispatch(operation, given, infoOf(operation, caller))) as never
  }
  const change: Rig["change"] = (work) =>
    runCall(cloud, infoOf("Test"), false, async (call) => {
      const result = await work(call)
      await call.commit()
      return result
    })
  return {
    ec2,
    change,
    async fault(operation, input, caller) {
      try {
        await ec2(operation, input, caller)
      } catch (error) {
        if (error instanceof Fault) return `${error.code}: ${error.message}`
        throw error
      }
      throw new Error(`${operation} was not refused`)
    },
    otherVpc: () => change(createVpc),
  }
}

function createVpc(call: Call): string {
  const vpc = call.draft.create(vpcKind, {
    cidr: "10.7.0.0/16",
    isDefault: false,
    state: "available",
    number: 77,
    dhcpOptions: newId("dopt"),
    cidrAssociation: newId("vpc-cidr-assoc"),
    tags: [],
  })
  createDefaultGroup(call, vpc.id)
  return vpc.id
}
