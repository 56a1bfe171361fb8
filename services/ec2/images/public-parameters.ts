/**
 * The public parameters of Systems Manager that name images here: AWS's names for the newest image of a family, pointing at ours.
 * Debian's are listed at https://wiki.debian.org/Cloud/AmazonEC2Image; Amazon Linux's stand for the small image, whose user is ec2-user too.
 */
import type { Call } from "#cloud/call.ts"
import { fromStored, type Resource } from "#cloud/resources/kind.ts"
import { everyRegion, type ImageRecord, imageKind, publicOwner } from "./record.ts"

export interface PublicParameter {
  readonly name: string
  readonly image: Resource<ImageRecord>
}

const debianNames = { x86_64: "amd64", arm64: "arm64" } as const

/** Image names' beginnings, and the parameters that name the newest image of them. */
const families: readonly (readonly [
  start: string,
  names: (architecture: ImageRecord["architecture"]) => readonly string[],
])[] = [
  ["debian-12-", (architecture) => [`/aws/service/debian/release/12/latest/${debianNames[architecture]}`]],
  [
    "fractus-micro-",
    (architecture) =>
      [
        `al2023-ami-kernel-default-${architecture}`,
        `al2023-ami-kernel-6.1-${architecture}`,
        `al2023-ami-minimal-kernel-default-${architecture}`,
        `amzn2-ami-hvm-${architecture}-gp2`,
      ].map((name) => `/aws/service/ami-amazon-linux-latest/${name}`),
  ],
]

/** All that there are now, sorted by name: one query. */
export async function publicParameters(call: Call): Promise<readonly PublicParameter[]> {
  const page = await call.store.query({
    kind: imageKind.name,
    accounts: [publicOwner],
    regions: [everyRegion],
    facets: [{ name: "state", values: ["available"] }],
    limit: 1000,
  })
  const newest = new Map<string, Resource<ImageRecord>>()
  for (const stored of page.items) {
    const image = fromStored<ImageRecord>(stored)
    const family = families.find(([start]) => image.record.name.startsWith(start))
    for (const name of family?.[1](image.record.architecture) ?? []) {
      const known = newest.get(name)
      if (known === undefined || known.record.createdMs <= image.record.createdMs) newest.set(name, image)
    }
  }
  return [...newest].map(([name, image]) => ({ name, image })).toSorted((a, b) => (a.name < b.name ? -1 : 1))
}

/** What begins an image's name that is a parameter's. */
export const byParameter = "resolve:ssm:"

/** The id that "resolve:ssm:NAME" of RunInstances means, or undefined where no parameter has the name. */
export async function resolveImage(call: Call, name: string): Promise<string | undefined> {
  return (await imageResolver(call))(name)
}

/** The same for many names, in one query. Every parameter is at version 1. */
export async function imageResolver(call: Call): Promise<(name: string) => string | undefined> {
  const parameters = await publicParameters(call)
  return (name) => {
    const [, path, version = "1"] = /^(.*?)(?::(\d{1,18}))?$/.exec(name) ?? []
    return Number(version) === 1 ? parameters.find((parameter) => parameter.name === path)?.image.id : undefined
  }
}
