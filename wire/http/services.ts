/** The services behind one listener, loaded on their first call, their operations compiled on theirs. */
import { Fault } from "#lib/fault.ts"
import { compileOperation, type Operation } from "../protocols/query.ts"
import { shown } from "../protocols/form.ts"
import type { LoadedService, ServiceBinding } from "../types.ts"

export interface Service {
  readonly binding: ServiceBinding
  /** Loads the service and finds the operation. Throws InvalidAction and, for a bad version, NoSuchVersion. */
  find(action: string, version: string): Promise<{ readonly operation: Operation; readonly loaded: LoadedService }>
}

export interface Services {
  /** By the service of a credential scope ("ec2"). */
  named(name: string): Service | undefined
  /** For requests without a scope: by the first label of a host name, then by the API version, then the first. */
  guess(host: string, version: string): Service
}

export function createServices(bindings: readonly ServiceBinding[]): Services {
  const services = new Map(bindings.map((binding) => [binding.name, createService(binding)]))
  const [first] = services.values()
  if (!first || services.size !== bindings.length) throw new TypeError("services must be given, each name once")
  return {
    named: (name) => services.get(name),
    guess(host, version) {
      const byHost = services.get(host.split(".", 1)[0] ?? "")
      return byHost ?? services.values().find((service) => service.binding.version === version) ?? first
    },
  }
}

function createService(binding: ServiceBinding): Service {
  let loading: Promise<LoadedService> | undefined
  const operations = new Map<string, Operation>()
  const load = (): Promise<LoadedService> => {
    loading ??= binding.load().catch((error: unknown) => {
      // The next call tries again.
      loading = undefined
      throw error
    })
    return loading
  }
  return {
    binding,
    async find(action, version) {
      checkVersion(binding, action, version)
      const loaded = await load()
      const known = operations.get(action)
      if (known) return { operation: known, loaded }
      if (!Object.hasOwn(loaded.schemas, action)) throw invalidAction(binding, action)
      const operation = compileOperation(action, loaded.schemas[action], binding)
      operations.set(action, operation)
      return { operation, loaded }
    },
  }
}

/** EC2 answers to all of its older versions alike; the other query services know one. */
function checkVersion(binding: ServiceBinding, action: string, version: string): void {
  if (action === "") throw new Fault("MissingAction", "The request is missing an action or a required parameter.")
  if (binding.protocol === "awsQuery") {
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
  if (binding.protocol === "awsQuery") return notInVersion(action, binding.version)
  return new Fault("InvalidAction", `The action ${shown(action)} is not valid for this web service.`)
}

function notInVersion(action: string, version: string): Fault {
  return new Fault("InvalidAction", `Could not find operation ${shown(action)} for version ${shown(version)}`)
}
