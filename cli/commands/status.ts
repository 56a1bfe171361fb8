import { readStatus, type Status } from "../daemon/api.ts"
import { runningDaemon } from "../daemon/process.ts"
import { requireDaemon, startCommand } from "../daemon/require.ts"
import { existingHome } from "../home.ts"
import { backgroundBuild } from "../images/background.ts"
import { imageCells, type ImageRow, withBuilds } from "../images/list.ts"
import { coloured, note, print, printJson, table } from "../terminal.ts"

/** `status --json` where nothing runs: the same members, empty. Schema: docs/reference/cli/status.schema.json. */
const stopped = {
  daemon: null,
  endpoint: null,
  engine: null,
  accelerator: null,
  images: [],
  instances: [],
  processes: [],
  serialConsole: null,
  memory: null,
}

const section = (title: string, rows: string[][]): void => {
  if (rows.length > 0) print(`\n${coloured("bold", title)}\n${table(rows)}`)
}

const mebibytes = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MiB`

const memoryRows = (memory: NonNullable<Status["memory"]>): string[][] => [
  ...(memory.guests > 0
    ? [
        [mebibytes(memory.pssBytes), "taken, a page that several share counted once (sum of Pss)"],
        [mebibytes(memory.rssBytes), "if they shared none, as those that booted (sum of RSS)"],
      ]
    : []),
  ...(memory.pool && memory.pool.wanted + memory.pool.waiting > 0
    ? [
        [
          mebibytes(memory.pool.pssBytes),
          `clones that wait in the pool: ${memory.pool.waiting} of ${memory.pool.wanted}`,
        ],
      ]
    : []),
  ...(memory.templatesBytes > 0 ? [[mebibytes(memory.templatesBytes), "warm templates kept for the next clones"]] : []),
]

const printStatus = (status: Omit<Status, "images"> & { images: readonly ImageRow[] }): void => {
  const engine = status.accelerator === null ? status.engine : `${status.engine}, ${status.accelerator}`
  print(`${coloured("green", "serving")} at ${status.endpoint}  (engine ${engine}; pid ${status.daemon.pid})`)
  section("Images", status.images.map(imageCells))
  section(
    "Instances",
    status.instances.map((instance) => [
      instance.id,
      instance.state,
      instance.type,
      instance.publicAddress ?? "-",
      instance.privateAddress ?? "-",
      instance.memory ? mebibytes(instance.memory.pssBytes) : "-",
      instance.name ?? "",
    ]),
  )
  if (status.memory && (status.memory.guests > 0 || (status.memory.pool?.wanted ?? 0) > 0))
    section("Memory of guests", memoryRows(status.memory))
  const { serialConsole: serial } = status
  if (serial)
    section("Serial consoles", [[`ssh -p ${serial.port} INSTANCE.port0@${serial.address}`, serial.fingerprint]])
  section(
    "Processes",
    status.processes.map(({ pid, name }) => [String(pid), name]),
  )
}

/** `fractus status`: exits 1 when nothing serves this home. */
export const status = async (options: { home?: string; json?: boolean }): Promise<void> => {
  const home = existingHome(options.home)
  if (options.json === true && runningDaemon(home) === undefined) {
    printJson(stopped)
    note(`Fractus is not running on ${home}. To start it: ${startCommand(home)}`)
    process.exitCode = 1
    return
  }
  const answer = await readStatus(requireDaemon(home).endpoint)
  const builder = backgroundBuild(home)
  const processes = [...answer.processes, ...(builder === undefined ? [] : [{ name: "image-build", pid: builder.pid }])]
  const whole = { ...answer, images: withBuilds(home, answer.images), processes }
  if (options.json === true) printJson(whole)
  else printStatus(whole)
}
