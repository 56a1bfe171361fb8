/**
 * What Terraform's AWS provider (5.100) does with a resource, call by call as its log shows, and what it keeps of the answers. A resource that reads
 * twice the same shows no difference in a plan; one that reads back something else than was asked for does.
 */
import assert from "node:assert/strict"
import { setTimeout as delay } from "node:timers/promises"
import type { TestCloud } from "../operations/cloud.ts"

/** Attributes, by the provider's names. */
export type State = Readonly<Record<string, unknown>>

export interface Replay {
  /** "aws_key_pair" */
  readonly resource: string
  /** Makes it, waits as the provider waits; gives the id that the provider goes by. */
  create(cloud: TestCloud): Promise<string>
  /** Refresh: undefined for one that is gone, as the provider tells it. */
  read(cloud: TestCloud, id: string): Promise<State | undefined>
  /** Attributes that the configuration gives. */
  readonly planned: State
  update(cloud: TestCloud, id: string, before: State): Promise<void>
  /** Attributes that the update gives; all others stay. */
  readonly changed: State
  destroy(cloud: TestCloud, id: string, before: State): Promise<void>
}

/** Create, refresh without a difference, update, refresh without a difference, destroy, gone. */
export async function replay(cloud: TestCloud, { planned, changed, ...resource }: Replay): Promise<void> {
  const id = await resource.create(cloud)
  const created = (await resource.read(cloud, id)) ?? assert.fail("it is gone")
  assert.deepEqual({ ...created, ...planned }, created)
  assert.deepEqual(await resource.read(cloud, id), created)
  await resource.update(cloud, id, created)
  const updated = (await resource.read(cloud, id)) ?? assert.fail("it is gone")
  assert.deepEqual(updated, { ...created, ...changed })
  assert.deepEqual(await resource.read(cloud, id), updated)
  await resource.destroy(cloud, id, updated)
  assert.equal(await resource.read(cloud, id), undefined)
}

/** A finder: exactly one, with the id that was asked for, or a code that means that it is gone. */
export async function only<T>(
  find: Promise<readonly T[] | undefined>,
  isAsked: (item: T) => boolean,
  gone: readonly string[],
): Promise<T | undefined> {
  try {
    const items = (await find) ?? []
    assert.ok(items.length <= 1, `${items.length} were found`)
    assert.ok(items.every(isAsked), "another one was found")
    return items[0]
  } catch (error) {
    if (error instanceof Error && gone.includes(error.name)) return undefined
    throw error
  }
}

const deadlineMs = 30_000

/** A waiter: any state but the pending ones and the last is an error. */
export async function until(last: string, pending: readonly string[], state: () => Promise<string>): Promise<void> {
  const deadline = performance.now() + deadlineMs
  for (let now = await state(); now !== last; now = await state()) {
    assert.ok(pending.includes(now), `unexpected state '${now}', wanted target '${last}'`)
    assert.ok(performance.now() < deadline, `still ${now} after ${deadlineMs} ms`)
    await delay(20)
  }
}

/** Tags as the provider keeps them: without those of the system. */
export function tagsOf(tags: readonly { Key?: string | undefined; Value?: string | undefined }[] | undefined): State {
  const own = (tags ?? []).filter(({ Key }) => !Key?.startsWith("aws:"))
  return Object.fromEntries(own.map(({ Key, Value }) => [Key, Value]))
}

/** A specification of tags for what is created. */
export const tagged = <T extends string>(ResourceType: T, tags: Readonly<Record<string, string>>) => ({
  ResourceType,
  Tags: Object.entries(tags).map(([Key, Value]) => ({ Key, Value })),
})
