/** errors.md: every error code an answer can have, from the tables, the kinds of resources, and what is thrown besides. */
import { commonErrors } from "#cloud/errors.ts"
import { errors as account } from "#services/account/service.ts"
import { errors as cloudtrail } from "#services/cloudtrail/service.ts"
import { errors } from "#services/ec2/errors.ts"
import { errors as s3 } from "#services/s3/errors.ts"
import { errors as instanceConnect } from "#services/ec2-instance-connect/errors.ts"
import { errors as servicequotas } from "#services/servicequotas/service.ts"
import { errors as ssm } from "#services/ssm/service.ts"
import { errors as tagging } from "#services/tagging/handler.ts"
import { files, read } from "#tests/style/tree.ts"
import { table } from "./markdown.ts"

interface Row {
  readonly code: string
  readonly status: number
  readonly message: string
}

/** Code, message and status of `new Fault("Code", "message", status)` where they stand in the source as text. */
const thrown =
  /new Fault\(\s*"([A-Za-z.]+)",\s*(?:"((?:[^"\\]|\\.)*)"|[`']((?:[^`'\\]|'[^,)]|\\.)*)[`'])(?:,\s*(\d{3}))?,?\s*\)/g
/** `notFound: ["Code", "message"]` of a kind of resource. */
const ofKind = /(?:notFound|malformed): \[\s*"([A-Za-z.]+)",\s*(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)')/g

const others = [
  { title: "S3", folder: "services/s3", table: s3 },
  { title: "Systems Manager", folder: "services/ssm", table: ssm },
  { title: "EC2 Instance Connect", folder: "services/ec2-instance-connect", table: instanceConnect },
  { title: "Service Quotas", folder: "services/servicequotas", table: servicequotas },
  { title: "Resource Groups Tagging", folder: "services/tagging", table: tagging },
  { title: "CloudTrail", folder: "services/cloudtrail", table: cloudtrail },
  { title: "Account Management", folder: "services/account", table: account },
] as const

/** What a service says besides what all say. */
function ownErrors({ title, folder, table }: (typeof others)[number]): string {
  const rows = Object.entries(table)
    .filter(([code]) => !Object.hasOwn(commonErrors, code))
    .map(([code, [status, message]]) => ({ code, status, message }))
  return `## ${title}\n\n${asTable(unique([...rows, ...found(folder, thrown)]))}`
}

/** File name -> text. */
export function errorCodes(): Readonly<Record<string, string>> {
  const tables = Object.entries(errors).map(([code, [status, message]]) => ({ code, status, message }))
  const ec2 = unique([...tables, ...found("services/ec2", ofKind), ...found("services/ec2", thrown)])
  const wire = unique(found("wire", thrown))
  const local = unique([...found("cloud", thrown), ...found("daemon", thrown)])
  return {
    "errors.md":
      [
        "# Error codes",
        "What stands in `{}` is filled in. The status is HTTP's. EC2 sends `<Response><Errors><Error>`, STS `<ErrorResponse><Error>`, S3 `<Error>`, all others a JSON document with `__type` and `message`.",
        `## EC2\n\n${asTable(ec2)}`,
        ...others.map(ownErrors),
        `## Before a service is asked\n\nSignatures, forms, limits; see also \`wire/signature/refusals.ts\`.\n\n${asTable(wire)}`,
        `## Regions, accounts and the pages below /_fractus/\n\n${asTable(local)}`,
        "",
      ]
        .join("\n\n")
        .trimEnd() + "\n",
  }
}

const asTable = (rows: readonly Row[]) =>
  table(
    ["code", "status", "message"],
    rows.map(({ code, status, message }) => [
      `\`${code}\``,
      String(status),
      message.replace(/\$\{[^{}]*\}/g, "{}").replace(/\{\w*\}/g, "`$&`"),
    ]),
  )

function found(folder: string, pattern: RegExp): readonly Row[] {
  const sources = files(`${folder}/*.ts`).filter((path) => !/\.test\.ts$|fixture|hostile/.test(path))
  return sources.flatMap((path) =>
    [...read(path).matchAll(pattern)].map(([, code = "", first, second, status = "400"]) => ({
      code,
      status: Number(status),
      message: (first ?? second ?? "").replaceAll('\\"', '"'),
    })),
  )
}

/** One row for each code and message, sorted. */
function unique(rows: readonly Row[]): readonly Row[] {
  const byText = new Map(rows.map((row) => [`${row.code} ${row.message}`, row]))
  return [...byText].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row)
}
