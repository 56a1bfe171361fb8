/** The services behind one listener, loaded on their first call, their operations compiled on theirs. */
import { Fault } from "#lib/fault.ts"
import { compileOperation, type Operation } from "../protocols/query.ts"
import { shown } from "../protocols/form.ts"
import { bucketOf } from "../protocols/bucket.ts"
import { compileRpc, type DocumentOperation, type Holding, type Incoming } from "../protocols/document.ts"
import { isRest } from "../protocols/kinds.ts"
import { compileRest } from "../protocols/rest.ts"
import { createRoutes, readQuery, type Routed } from "../protocols/rest-routes.ts"
import { firstOf, type SignedRequest } from "../signature/claim.ts"
import type { LoadedService, Protocol, QueryProtocol, RestProtocol, RpcProtocol, ServiceBinding } from "../types.ts"

export interface Service {
  readonly binding: ServiceBinding
  /** Loads the service and finds a query operation. Throws InvalidAction and, for a bad version, NoSuchVersion. */
  find(action: string, version: string): Promise<{ readonly operation: Operation; readonly loaded: LoadedService }>
  /** Loads the service and finds the operation of a document protocol. Throws UnknownOperationException, or S3's words. */
  locate(signed: SignedRequest, protocol: RpcProtocol | RestProtocol): Promise<Located>
}

export interface Located extends Omit<Incoming, "signed" | "body"> {
  readonly name: string
  readonly operation: DocumentOperation
  readonly loaded: LoadedService
}

export interface Services {
  /** By the service of a credential scope ("ec2"). */
  named(name: string): Service | undefined
  /** For requests without a scope, by what they say otherwise: target, path, host name, API version; the first where nothing does. */
  guess(signed: SignedRequest, version: string): Service
  /** The first one that speaks a protocol. */
  speaking(protocol: Protocol): Service | undefined
}

export function createServices(bindings: readonly ServiceBinding[], holding: Holding = {}): Services {
  const services = new Map(bindings.map((binding) => [binding.name, createService(binding, holding)]))
  const all = [...services.values()]
  const [first] = all
  if (!first || services.size !== bindings.length) throw new TypeError("services must be given, each name once")
  const speaking = (protocol: Protocol) => all.find(({ binding }) => binding.protocol === protocol)
  return {
    named: (name) => services.get(name),
    speaking,
    guess(signed, version) {
      const host = firstOf(signed.headers, "host") ?? ""
      const target = targetOf(signed)?.[0]
      return (
        (target === undefined
          ? undefined
          : all.find(({ binding }) => target === binding.target || target.endsWith(`.${binding.target}`))) ??
        services.get(host.split(".", 1)[0] ?? "") ??
        (version === "" ? undefined : all.find(({ binding }) => binding.version === version)) ??
        (isForm(signed) ? first : (speaking("restXml") ?? first))
      )
    },
  }
}

/** A request that may be a form: all else is S3's, when nothing says whose it is. */
export const isForm = ({ method, path }: SignedRequest) => path === "/" && (method === "POST" || method === "GET")

/** What stands before the operation's name, and the name: of X-Amz-Target, or of the path of RPC CBOR. */
function targetOf(signed: SignedRequest): readonly [string, string] | undefined {
  const path = /^\/service\/([A-Za-z0-9_]{1,128})\/operation\/([A-Za-z0-9_]{1,128})\/?$/.exec(signed.path)
  if (path && firstOf(signed.headers, "smithy-protocol")) return [path[1] ?? "", path[2] ?? ""]
  const header = firstOf(signed.headers, "x-amz-target")
  if (header === undefined) return undefined
  const dot = header.lastIndexOf(".")
  return [header.slice(0, Math.max(dot, 0)), header.slice(dot + 1)]
}

function createService(binding: ServiceBinding, holding: Holding): Service {
  let loading: Promise<LoadedService> | undefined
  const operations = new Map<string, Operation>()
  const documents = new Map<string, DocumentOperation>()
  let routes: ReturnType<typeof createRoutes> | undefined
  const load = (): Promise<LoadedService> => {
    loading ??= binding.load().catch((error: unknown) => {
      // The next call tries again.
      loading = undefined
      throw error
    })
    return loading
  }
  const compiled = (name: string, protocol: RpcProtocol | RestProtocol, schema: unknown): DocumentOperation => {
    const key = `${protocol} ${name}`
    const known = documents.get(key)
    if (known) return known
    const made = isRest(protocol)
      ? compileRest(schema, protocol, binding.xmlNamespace ?? "", holding)
      : compileRpc(schema, protocol, holding)
    documents.set(key, made)
    return made
  }
  return {
    binding,
    async find(action, version) {
      checkVersion(binding, action, version)
      const loaded = await load()
      const known = operations.get(action)
      if (known) return { operation: known, loaded }
      if (!Object.hasOwn(loaded.schemas, action)) throw invalidAction(binding, action)
      const dialect = { protocol: queryProtocol(binding), xmlNamespace: binding.xmlNamespace ?? "" }
      const operation = compileOperation(action, loaded.schemas[action], dialect, holding)
      operations.set(action, operation)
      return { operation, loaded }
    },
    async locate(signed, protocol) {
      const loaded = await load()
      if (isRest(protocol)) {
        routes ??= createRoutes(loaded.schemas)
        const routed = route(routes, signed, protocol)
        const name = routed.operation
        return { ...routed, name, operation: compiled(name, protocol, loaded.schemas[name]), loaded }
      }
      const [target, name = ""] = targetOf(signed) ?? []
      // botocore writes a longer name before CloudTrail's: "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101".
      const isOurs = target !== undefined && (target === binding.target || target.endsWith(`.${binding.target}`))
      if (!isOurs || !Object.hasOwn(loaded.schemas, name)) throw unknownOperation(protocol)
      return { name, operation: compiled(name, protocol, loaded.schemas[name]), loaded, labels: {}, query: [] }
    },
  }
}

function queryProtocol({ protocol }: ServiceBinding): QueryProtocol {
  return protocol === "ec2Query" ? "ec2Query" : "awsQuery"
}

function route(routes: ReturnType<typeof createRoutes>, signed: SignedRequest, protocol: RestProtocol): Routed {
  const { method, headers } = signed
  const query = readQuery(signed.query)
  const place = protocol === "restXml" ? bucketOf(signed) : { hostLabel: undefined, path: signed.path }
  const routed = routes({ method, headers, query, ...place })
  if (routed) return routed
  throw protocol === "restXml"
    ? new Fault("MethodNotAllowed", "The specified method is not allowed against this resource.", 405)
    : unknownOperation(protocol)
}

function unknownOperation(protocol: Protocol): Fault {
  const status = protocol === "restJson1" || protocol === "rpcv2Cbor" ? 404 : 400
  return new Fault("UnknownOperationException", "The operation is not one of this service", status)
}

/** EC2 answers to all of its older versions alike; the other query services know one. */
function checkVersion(binding: ServiceBinding, action: string, version: string): void {
  if (action === "") throw new Fault("MissingAction", "The request is missing an action or a required parameter.")
  if (queryProtocol(binding) === "awsQuery") {
    if (version !== binding.version) throw notInVersion(action, version || "NO_VERSION_SPECIFIED")
    return
  }
  if (version === "") throw new Fault("MissingParameter", "The request must contain the parameter Version")
  if (!/^\d{4}-\d\d-\d\d$/.test(version)) {
    throw new Fault(
      "NoSuchVersion",
      `The requested version (${shown(version)}) of service ${binding.name} does not exist`,
    )
  }
}

function invalidAction(binding: ServiceBinding, action: string): Fault {
  if (queryProtocol(binding) === "awsQuery") return notInVersion(action, binding.version)
  return new Fault("InvalidAction", `The action ${shown(action)} is not valid for this web service.`)
}

function notInVersion(action: string, version: string): Fault {
  return new Fault("InvalidAction", `Could not find operation ${shown(action)} for version ${shown(version)}`)
}
