import type { Status } from "../daemon/api.ts"
import { secureEndpoint } from "../commands/env.ts"
import { program } from "../failure.ts"
import { type Config, type Credentials, homeWords } from "../home.ts"
import { coloured, print, printJson, table } from "../terminal.ts"

/** What `up` prints: the schema is docs/reference/cli/up.schema.json. */
export type UpReport = {
  endpoint: string
  engine: string
  accelerator: string | null
  home: string
  region: string
  account: string
  accessKeyId: string
  profile: string | null
  images: { id: string; name: string; state: string }[]
  next: string[]
}

const familyOf = (name: string): string => name.replace(/-\d.*$/, "")

/** The newest version of the kind that comes first: a home that is older lists what its images were before, too. */
export function newestOfFirst<T extends { readonly name: string }>(images: readonly T[]): T | undefined {
  const family = familyOf(images[0]?.name ?? "")
  return images
    .filter(({ name }) => familyOf(name) === family)
    .toSorted((one, other) => one.name.localeCompare(other.name, "en", { numeric: true }))
    .at(-1)
}

/** The report, with three commands that launch an instance of the first kind of image. `coming` is built in the background. */
export const upReport = (
  status: Status,
  config: Config,
  credentials: Credentials,
  profile: string | null,
  coming: readonly { id: string; name: string }[] = [],
): UpReport => {
  const home = homeWords(config.home)
  const image = newestOfFirst(status.images.filter(({ state }) => state === "available"))
  const later = coming.filter(({ id }) => !status.images.some((listed) => listed.id === id))
  return {
    endpoint: secureEndpoint(status.endpoint, config),
    engine: status.engine,
    accelerator: status.accelerator,
    home: config.home,
    region: credentials.region,
    account: credentials.account,
    accessKeyId: credentials.accessKeyId,
    profile,
    images: [...status.images, ...later.map((built) => ({ ...built, state: "pending" }))].map(
      ({ id, name, state }) => ({
        id,
        name,
        state,
      }),
    ),
    next: [
      `eval "$(${program} env${home})"`,
      // Through `fractus aws`, because an old AWS CLI would take the keys and not the endpoint.
      `(umask 077; ${program} aws${home} ec2 create-key-pair --key-name first --query KeyMaterial --output text > first.pem)`,
      `${program} aws${home} ec2 run-instances --image-id ${image?.id} --instance-type t3.micro --key-name first`,
    ],
  }
}

/** Prints it as JSON or for people. */
export const printReport = (report: UpReport, json: boolean): void => {
  if (json) return printJson(report)
  const engine = report.accelerator === null ? report.engine : `${report.engine}, ${report.accelerator}`
  const rows = [
    ["Endpoint", `${coloured("bold", report.endpoint)}  (engine ${engine}; home ${report.home})`],
    [
      "Access key",
      report.profile === null ? report.accessKeyId : `${report.accessKeyId}  (AWS profile "${report.profile}")`,
    ],
    ...report.images.map((image, index) => [index === 0 ? "Images" : "", `${image.id}  ${image.name}  ${image.state}`]),
  ]
  print(table(rows))
  print(`\nNext:\n${report.next.map((line) => `  ${line}`).join("\n")}`)
}
