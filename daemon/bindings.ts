/** The services behind the listener: name, protocol, version; their code is imported on the first call. */
import type { CallInfo, Cloud } from "#cloud/call.ts"
import type { Trail } from "#cloud/events/trail.ts"
import type { Dispatcher } from "#cloud/service.ts"
import { isRegion } from "#services/ec2/regions/data.ts"
import { mayCall } from "#services/ec2/regions/opt-in.ts"
import type { LaterObjects } from "./objects.ts"
import { loadSchemas, type SchemaSource } from "#wire/schema/load.ts"
import { refusal } from "#wire/signature/refusals.ts"
import type { ServiceBinding } from "#wire/types.ts"

/** What services are made of. */
export interface Parts {
  readonly cloud: Cloud
  readonly ec2: Dispatcher
  readonly trail: Trail
  readonly objects: LaterObjects
}

interface Row extends Omit<ServiceBinding, "name" | "load"> {
  readonly open: (parts: Parts) => Dispatcher | Promise<Dispatcher>
}

/** A service is a folder and a line here. EC2, which all others stand on, is there from the start. */
const rows: Readonly<Record<Exclude<SchemaSource, "ec2">, Row>> = {
  sts: {
    protocol: "awsQuery",
    version: "2011-06-15",
    xmlNamespace: "https://sts.amazonaws.com/doc/2011-06-15/",
    open: async ({ cloud }) => (await import("#services/sts/service.ts")).createService(cloud),
  },
  ssm: {
    protocol: "awsJson1_1",
    version: "2014-11-06",
    target: "AmazonSSM",
    open: async ({ cloud }) => (await import("#services/ssm/service.ts")).createService(cloud),
  },
  servicequotas: {
    protocol: "awsJson1_1",
    version: "2019-06-24",
    target: "ServiceQuotasV20190624",
    open: async ({ cloud }) => (await import("#services/servicequotas/service.ts")).createService(cloud),
  },
  "ec2-instance-connect": {
    protocol: "awsJson1_1",
    version: "2018-04-02",
    target: "AWSEC2InstanceConnectService",
    open: async ({ cloud }) => (await import("#services/ec2-instance-connect/service.ts")).createService(cloud),
  },
  tagging: {
    protocol: "awsJson1_1",
    version: "2017-01-26",
    target: "ResourceGroupsTaggingAPI_20170126",
    open: async ({ cloud }) => (await import("#services/tagging/service.ts")).createService(cloud),
  },
  cloudtrail: {
    protocol: "awsJson1_1",
    version: "2013-11-01",
    target: "CloudTrail_20131101",
    open: async ({ cloud, trail }) => (await import("#services/cloudtrail/service.ts")).createService(cloud, trail),
  },
  account: {
    protocol: "restJson1",
    version: "2021-02-01",
    open: async ({ cloud }) => (await import("#services/account/service.ts")).createService(cloud),
  },
  s3: {
    protocol: "restXml",
    version: "2006-03-01",
    xmlNamespace: "http://s3.amazonaws.com/doc/2006-03-01/",
    open: async ({ cloud, objects }) =>
      (await import("#services/s3/service.ts")).createService(cloud, await objects.opened()),
  },
}

/** A binding for each service; a region that does not exist, or that the account has not enabled, is refused before any handler. */
export function bindings(parts: Parts): readonly ServiceBinding[] {
  const ec2Row: Row = {
    protocol: "ec2Query",
    version: "2016-11-15",
    xmlNamespace: "http://ec2.amazonaws.com/doc/2016-11-15/",
    open: ({ ec2 }) => ec2,
  }
  return (Object.entries({ ec2: ec2Row, ...rows }) as [SchemaSource, Row][]).map(([name, { open, ...row }]) => ({
    name,
    ...row,
    async load() {
      const [schemas, dispatcher] = await Promise.all([loadSchemas(name), open(parts)])
      return {
        schemas,
        isPure: (operation: string) => dispatcher.isPure(operation),
        handles: (operation: string) => dispatcher.handles(operation),
        async dispatch(operation: string, input: object, info: CallInfo) {
          if (!isRegion(info.region)) throw refusal("scope", row.protocol, "a valid region")
          // A region that is not enabled does not know the account's keys.
          if (!(await mayCall(parts.cloud.store, info.caller.account, info.region)))
            throw refusal("unknownKey", row.protocol)
          return dispatcher.dispatch(operation, input, info)
        },
      }
    },
  }))
}
