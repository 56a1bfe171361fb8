/** S3: buckets in the store, objects in their engine. */
import type { Cloud } from "#cloud/call.ts"
import { createDispatcher, type Dispatcher } from "#cloud/service.ts"
import type { ObjectsEngine } from "#engine/objects/types.ts"
import { bucketHandlers } from "./buckets.ts"
import { raise } from "./errors.ts"
import type { Handlers, Storage } from "./handler.ts"
import { listHandlers } from "./list.ts"
import { multipartHandlers } from "./multipart.ts"
import { objectHandlers } from "./objects.ts"
import { tagHandlers } from "./tags.ts"

/** The table of handlers over an engine. */
export function handlersOf(objects: ObjectsEngine) {
  const storage: Storage = { objects, closing: new Set() }
  return {
    ...bucketHandlers(storage),
    ...listHandlers(storage),
    ...multipartHandlers(storage),
    ...objectHandlers(storage),
    ...tagHandlers(storage),
  } satisfies Handlers
}

/** What is not done answers NotImplemented, as S3 does, and its name. */
export function createService(cloud: Cloud, objects: ObjectsEngine): Dispatcher {
  const dispatcher = createDispatcher(cloud, handlersOf(objects))
  return {
    ...dispatcher,
    async dispatch(operation, input, info) {
      if (!dispatcher.handles(operation)) throw raise("NotImplemented", { operation })
      return dispatcher.dispatch(operation, input, info)
    },
  }
}
