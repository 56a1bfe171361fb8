/** Calls that met on one resource run again one after the other: at once, all but one would meet again. */

const queues = new WeakMap<object, Map<string, Promise<void>>>()

/** Runs `work` when all that asked earlier for the same owner and id are through, whatever became of them. */
export async function inTurn<T>(owner: object, id: string, work: () => Promise<T>): Promise<T> {
  const queue = queues.get(owner) ?? new Map<string, Promise<void>>()
  queues.set(owner, queue)
  const running = (queue.get(id) ?? Promise.resolve()).then(work)
  const through = running.then(
    () => undefined,
    () => undefined,
  )
  queue.set(id, through)
  try {
    return await running
  } finally {
    if (queue.get(id) === through) queue.delete(id)
  }
}
