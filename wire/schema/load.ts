/**
 * The schemas of an SDK client without the client: its schema module alone loads in a fifth of the time and half of the
 * memory of the package (measured in README.md).
 */
import { registerHooks } from "node:module"

/** By the service's endpoint prefix, which is what its requests are signed for: the SDK's client. */
const clients = {
  ec2: "ec2",
  "ec2-instance-connect": "ec2-instance-connect",
  sts: "sts",
  ssm: "ssm",
  servicequotas: "service-quotas",
  tagging: "resource-groups-tagging-api",
  cloudtrail: "cloudtrail",
  s3: "s3",
  account: "account",
} as const

export type SchemaSource = keyof typeof clients
export type Schemas = Readonly<Record<string, unknown>>

const loaded = new Map<SchemaSource, Promise<Schemas>>()

/** Operation name -> schema tuple (kind 9) of every operation that the pinned SDK knows. Loaded once. */
export function loadSchemas(service: SchemaSource): Promise<Schemas> {
  const known = loaded.get(service)
  if (known) return known
  const loading = clientSchemas(clients[service])
  loaded.set(service, loading)
  loading.catch(() => loaded.delete(service))
  return loading
}

/** The schemas of any client that is installed, by the name of its package after "client-". */
export async function clientSchemas(client: string): Promise<Schemas> {
  const specifier = `@aws-sdk/client-${client}/dist-es/schemas/schemas_0.js`
  const hooks = registerHooks({
    // The SDK's dist-es is written for bundlers: its relative imports have no extension.
    resolve: (name, context, next) =>
      name.startsWith(".") && !name.endsWith(".js") && context.parentURL?.includes("/@aws-sdk/client-")
        ? next(`${name}.js`, context)
        : next(name, context),
  })
  try {
    const exported: object = await import(specifier)
    return operationsOf(exported)
  } finally {
    hooks.deregister()
  }
}

function operationsOf(exported: object): Schemas {
  const operations: [string, unknown][] = []
  for (const schema of Object.values(exported)) {
    if (Array.isArray(schema) && schema[0] === 9) operations.push([String(schema[2]), schema])
  }
  return Object.freeze(Object.fromEntries(operations))
}
