import { spawnSync } from "node:child_process"
import { existsSync, readFileSync, rmSync } from "node:fs"
import { isRoot } from "../caller.ts"
import { Failure, program } from "../failure.ts"
import { homeWords, writeWhole } from "../home.ts"
import { inRepository } from "../repository.ts"

const unitName = "fractus.service"
const unitPath = `/etc/systemd/system/${unitName}`

/** A word of ExecStart=: quoted, with what systemd would expand doubled (systemd.service(5), "Command lines"). */
const unitWord = (word: string): string => {
  if (/[\n\r\0]/.test(word)) throw new Failure(2, "a line break in a path cannot be written in a unit", "ls")
  return `"${word.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("%", "%%").replaceAll("$", "$$$$")}"`
}

/**
 * The systemd unit of a home. KillMode=process: guests, their networks and their metadata outlive a restart of the daemon,
 * which finds them again.
 */
export const unitText = (home: string, entry = inRepository("fractus"), images: "all" | "first" = "all"): string =>
  [
    "[Unit]",
    `Description=Fractus, EC2 on this machine`,
    "After=network-online.target",
    "Wants=network-online.target",
    "StartLimitIntervalSec=0",
    "",
    "[Service]",
    "Type=exec",
    `ExecStart=${[entry, "up", "--foreground", "--yes", "--no-profile", ...(images === "first" ? ["--images", images] : []), "--home", home].map(unitWord).join(" ")}`,
    "Restart=always",
    "RestartSec=2",
    "KillMode=process",
    "TimeoutStopSec=90",
    "",
    "[Install]",
    "WantedBy=multi-user.target",
    "",
  ].join("\n")

/** What a unit file's ExecStart= ends with for this home. */
const serves = (text: string, home: string): boolean => text.includes(`"--home" ${unitWord(home)}\n`)

/** Refused with exit 3 without root or where systemd does not run, with exit 4 where the unit serves another home. */
export const checkSystemd = (home: string, what: "--enable" | "--disable", running = "/run/systemd/system"): void => {
  if (!existsSync(running)) {
    const mend =
      what === "--enable"
        ? `${program} up${homeWords(home)}   (supervises itself, until the next boot)`
        : `rm -f ${unitPath}`
    throw new Failure(3, `systemd does not run here: up ${what} has nothing to work with`, mend)
  }
  if (!isRoot()) throw new Failure(3, `up ${what} needs root`, `sudo ${program} up ${what}${homeWords(home)}`)
  if (!existsSync(unitPath) || serves(readFileSync(unitPath, "utf8"), home)) return
  throw new Failure(4, `${unitPath} serves another home`, `systemctl cat ${unitName}`)
}

const systemctl = (...words: string[]): void => {
  const done = spawnSync("systemctl", words, { encoding: "utf8", timeout: 120_000 })
  if (done.status === 0) return
  const said = (done.stderr ?? "").trim() || (done.error?.message ?? "")
  throw new Failure(1, `systemctl ${words.join(" ")} failed: ${said}`, `systemctl status ${unitName}`)
}

/** Writes the unit and starts it, now and at each boot. The home must not be served by then. */
export const enableUnit = (home: string, images: "all" | "first"): void => {
  writeWhole(unitPath, unitText(home, undefined, images), 0o644)
  systemctl("daemon-reload")
  systemctl("enable", "--now", unitName)
}

/** Ends the unit and removes it. The daemon ends; guests go on, and `down` ends them. */
export const disableUnit = (): void => {
  if (!existsSync(unitPath)) return
  systemctl("disable", "--now", unitName)
  rmSync(unitPath, { force: true })
  systemctl("daemon-reload")
}
