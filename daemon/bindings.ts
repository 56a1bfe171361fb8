/** The services behind the listener: name, protocol, version; their code is imported on the first call. */
import type { CallInfo } from "#cloud/call.ts"
import type { Dispatcher } from "#cloud/service.ts"
import { Fault } from "#lib/fault.ts"
import { isRegion } from "#services/ec2/regions/data.ts"
import { loadSchemas, type SchemaSource } from "#wire/schema/load.ts"
import type { ServiceBinding } from "#wire/types.ts"

const protocols = {
  ec2: { protocol: "ec2Query", version: "2016-11-15", xmlNamespace: "http://ec2.amazonaws.com/doc/2016-11-15/" },
  sts: { protocol: "awsQuery", version: "2011-06-15", xmlNamespace: "https://sts.amazonaws.com/doc/2011-06-15/" },
} as const satisfies Record<SchemaSource, Pick<ServiceBinding, "protocol" | "version" | "xmlNamespace">>

/** A binding for each dispatcher; a region that does not exist is refused before any handler. */
export function bindings(dispatchers: Readonly<Record<SchemaSource, Dispatcher>>): readonly ServiceBinding[] {
  return (Object.keys(protocols) as SchemaSource[]).map((name) => ({
    name,
    ...protocols[name],
    load: async () => ({
      schemas: await loadSchemas(name),
      isPure: (operation: string) => dispatchers[name].isPure(operation),
      handles: (operation: string) => dispatchers[name].handles(operation),
      dispatch(operation: string, input: object, info: CallInfo) {
        if (!isRegion(info.region)) throw new Fault("InvalidRegion", `The region '${info.region}' does not exist`)
        return dispatchers[name].dispatch(operation, input, info)
      },
    }),
  }))
}
