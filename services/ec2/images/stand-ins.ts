/**
 * `up --unknown-ami substitute`: images of AWS that configurations ask for by owner and name, and by id, each with an image of here behind it.
 * Those that are looked for by name are stored like other public images, newest of their family; any other id is answered on the spot.
 */
import { createHash } from "node:crypto"
import type { Call } from "#cloud/call.ts"
import { fromStored, isId, type Resource } from "#cloud/resources/kind.ts"
import { everyRegion, type ImageRecord, imageKind, publicOwner } from "./record.ts"

type Architecture = ImageRecord["architecture"]

interface Family {
  readonly owner: string
  /** The image here that is most like it; where that is not there, another one is taken. */
  readonly like: string
  /** Names as their owners give them, with the word for x86_64. */
  readonly names: readonly string[]
}

/**
 * What is looked for most. Owners and names as in "Find AMIs with the SSM parameter" and the guides of Ubuntu (ubuntu.com/aws) and Debian
 * (wiki.debian.org/Cloud/AmazonEC2Image); versions and dates are those of one day.
 */
const families: readonly Family[] = [
  {
    owner: "137112412989",
    like: "fractus-micro-",
    names: [
      "al2023-ami-2023.9.20251110.1-kernel-6.1-x86_64",
      "al2023-ami-2023.9.20251110.1-kernel-6.12-x86_64",
      "al2023-ami-minimal-2023.9.20251110.1-kernel-6.1-x86_64",
      "amzn2-ami-hvm-2.0.20251110.1-x86_64-gp2",
      "amzn2-ami-hvm-2.0.20251110.1-x86_64-ebs",
      "amzn2-ami-kernel-5.10-hvm-2.0.20251110.1-x86_64-gp2",
    ],
  },
  {
    owner: "099720109477",
    like: "debian-12-",
    names: [
      "ubuntu/images/hvm-ssd/ubuntu-focal-20.04-amd64-server-20251110",
      "ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-amd64-server-20251110",
      "ubuntu/images/hvm-ssd-gp3/ubuntu-jammy-22.04-amd64-server-20251110",
      "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20251110",
    ],
  },
  {
    owner: "136693071363",
    like: "debian-12-",
    names: [
      "debian-11-amd64-20251110-2294",
      "debian-12-amd64-20251110-2294",
      "debian-12-backports-amd64-20251110-2294",
      "debian-13-amd64-20251110-2294",
    ],
  },
]

/** Accounts whose public images have an image of here behind them. DescribeImages shows them under the alias "amazon", as AWS does. */
export const standInOwners: readonly string[] = families.map(({ owner }) => owner)

/** An image of here, as it is behind others. */
interface Behind {
  readonly id: string
  readonly record: ImageRecord
}

export interface StandIn extends Behind {
  readonly owner: string
}

/** All of them for the images that are here: one set for each architecture. Ids follow from names, the same in every home. */
export function standIns(images: readonly Behind[]): readonly StandIn[] {
  const available = images.filter(({ record }) => record.state === "available")
  const architectures = [...new Set(available.map(({ record }) => record.architecture))]
  return families.flatMap(({ owner, like, names }) =>
    architectures.flatMap((architecture) => {
      const behind = mostLike(available, like, architecture)
      if (behind === undefined) return []
      return names.map((plain) => {
        const name = nameFor(plain, architecture)
        return { owner, id: idOf(name), record: inPlaceOf(behind, name) }
      })
    }),
  )
}

const nameFor = (name: string, architecture: Architecture) =>
  architecture === "x86_64" ? name : name.replace(/x86_64|amd64/, architecture)

const idOf = (name: string) => `ami-${createHash("sha256").update(`in place of ${name}`).digest("hex").slice(0, 17)}`

function mostLike(images: readonly Behind[], like: string, architecture: Architecture): Behind | undefined {
  const fitting = images.filter(({ record }) => record.architecture === architecture)
  const alike = fitting.filter(({ record }) => record.name.startsWith(like))
  return alike.toSorted((a, b) => b.record.createdMs - a.record.createdMs)[0] ?? fitting[0]
}

function inPlaceOf({ id, record }: Behind, name: string): ImageRecord {
  const description = `Not here: ${record.name} is launched in its place`
  return { ...record, name, description, standsFor: { id, name: record.name }, tags: [] }
}

/** AWS's ids, and shorter ones that local clouds give out. */
const looksLikeId = (id: string) => isId("ami", id) || /^ami-[0-9a-f]{4,17}$/.test(id)

/**
 * An image under an id that is nobody's here, with the first of these architectures that there is an image of. Undefined where nothing may
 * be put in another's place, or nothing is there.
 */
export async function standInFor(
  call: Call,
  id: string,
  architectures: readonly string[] = ["x86_64", "arm64"],
): Promise<Resource<ImageRecord> | undefined> {
  if (call.cloud.settings.unknownAmi !== "substitute" || !looksLikeId(id)) return undefined
  const page = await call.store.query({
    kind: imageKind.name,
    accounts: [publicOwner],
    regions: [everyRegion],
    facets: [{ name: "state", values: ["available"] }],
    limit: 1000,
  })
  const images = page.items.map((stored) => fromStored<ImageRecord>(stored))
  const found = architectures
    .map((architecture) => images.find(({ record }) => record.architecture === architecture))
    .find((image) => image !== undefined)
  return found && { ...found, id, record: inPlaceOf(found, `${found.record.name} in place of ${id}`) }
}
