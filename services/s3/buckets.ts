/** Buckets: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html */
import { randomBytes } from "node:crypto"
import type { Call } from "#cloud/call.ts"
import { pageOf } from "#cloud/resources/describe.ts"
import { fromStored } from "#cloud/resources/kind.ts"
import { raise } from "./errors.ts"
import {
  type Handler,
  type Handlers,
  type Input,
  ownerOf,
  refuseNotDone,
  requireBucket,
  type Storage,
} from "./handler.ts"
import { bucketId, type BucketRecord, bucketKind } from "./record.ts"

/** The region that has no location constraint. */
const firstRegion = "us-east-1"
const maxBuckets = 1000

function checkName(name: string): void {
  const isName = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(name)
  const isBad = /\.\.|^\d+\.\d+\.\d+\.\d+$|^xn--|^sthree-|-s3alias$|--ol-s3$|--x-s3$|\.mrap$/.test(name)
  if (!isName || isBad) throw raise("InvalidBucketName")
}

function checkLocation({ CreateBucketConfiguration: wanted }: Input<"CreateBucket">, call: Call): void {
  const location: string | undefined = wanted?.LocationConstraint
  if (wanted?.Location ?? wanted?.Bucket ?? wanted?.Tags)
    throw raise("NotImplemented", { operation: "CreateBucket with more than a LocationConstraint" })
  if (location === firstRegion) throw raise("InvalidLocationConstraint")
  if ((location ?? firstRegion) !== call.region)
    throw raise("IllegalLocationConstraintException", { location: location ?? "unspecified" })
}

const createBucket: Handler<"CreateBucket"> = async (input, call) => {
  const name = input.Bucket ?? ""
  checkName(name)
  refuseNotDone(input, call)
  if (input.BucketNamespace !== undefined)
    throw raise("NotImplemented", { operation: "CreateBucket with BucketNamespace" })
  checkLocation(input, call)
  const id = bucketId(name)
  const there = (await call.store.getMany([id])).get(id)
  if (there !== undefined) {
    if (there.account !== call.account) throw raise("BucketAlreadyExists")
    // In the first region a bucket may be made again and stays as it is.
    if (call.region !== firstRegion) throw raise("BucketAlreadyOwnedByYou")
    return { Location: `/${name}` }
  }
  if ((await ownBuckets(call)).length >= maxBuckets) throw raise("TooManyBuckets")
  call.draft.create(bucketKind, { name, createdMs: call.nowMs, space: randomBytes(12).toString("hex"), tags: [] }, id)
  await call.commit()
  return { Location: call.region === firstRegion ? `/${name}` : `http://${name}.s3.amazonaws.com/` }
}

/** Of all regions, by name. */
async function ownBuckets(call: Call) {
  const page = await call.store.query({
    kind: bucketKind.name,
    accounts: [call.account],
    regions: [],
    limit: maxBuckets,
  })
  const buckets = page.items.map((stored) => fromStored<BucketRecord>(stored))
  return buckets.toSorted((a, b) => (a.record.name < b.record.name ? -1 : 1))
}

const listBuckets: Handler<"ListBuckets"> = async (input, call) => {
  const { MaxBuckets: most, ContinuationToken, Prefix = "", BucketRegion: region } = input
  if (most !== undefined && (!Number.isInteger(most) || most < 1 || most > 10_000))
    throw raise("InvalidArgument", { detail: "max-buckets must be between 1 and 10000" })
  const all = (await ownBuckets(call)).filter(
    (bucket) => bucket.record.name.startsWith(Prefix) && (region === undefined || bucket.region === region),
  )
  const wanted = {
    maxResults: Math.min(most ?? maxBuckets, maxBuckets),
    nextToken: ContinuationToken,
    bounds: [1, maxBuckets],
  } as const
  const page = pageOf(all, wanted, "ListBuckets", Prefix, region ?? "")
  return {
    Buckets: page.items.map(({ region, record }) => ({
      Name: record.name,
      CreationDate: new Date(record.createdMs),
      ...(most === undefined && input.BucketRegion === undefined ? {} : { BucketRegion: region }),
    })),
    Owner: ownerOf(call),
    ...(page.nextToken === undefined ? {} : { ContinuationToken: page.nextToken }),
    ...(input.Prefix === undefined ? {} : { Prefix }),
  }
}

const headBucket: Handler<"HeadBucket"> = async (input, call) => {
  const bucket = await requireBucket(call, input)
  return { BucketRegion: bucket.region, AccessPointAlias: false }
}

const getBucketLocation: Handler<"GetBucketLocation"> = async (input, call) => {
  const { region } = await requireBucket(call, input)
  return region === firstRegion ? {} : { LocationConstraint: region as never }
}

const deleteBucket =
  ({ objects, closing }: Storage): Handler<"DeleteBucket"> =>
  async (input, call) => {
    const bucket = await requireBucket(call, input)
    const { space } = bucket.record
    // From here on nothing can be put into it, so that what was acknowledged is not lost with it.
    closing.add(space)
    try {
      const { objects: some } = await objects.list({ space, prefix: "", delimiter: "", after: "", limit: 1 })
      if (some.length > 0) throw raise("BucketNotEmpty")
      call.draft.remove(bucket)
      await call.commit()
    } catch (error) {
      closing.delete(space)
      throw error
    }
    await objects.removeSpace(space)
    closing.delete(space)
    return {}
  }

export const bucketHandlers = (storage: Storage) =>
  ({
    CreateBucket: createBucket,
    DeleteBucket: deleteBucket(storage),
    GetBucketLocation: getBucketLocation,
    HeadBucket: headBucket,
    ListBuckets: listBuckets,
  }) satisfies Handlers
