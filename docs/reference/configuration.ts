/** configuration.md: options of the commands, environment variables, and the file that a start writes for the daemon. */
import type { Argument, Command } from "commander"
import type { Config } from "#daemon/config.ts"
import { files, read } from "#tests/style/tree.ts"
import { table } from "./markdown.ts"

/** The compiler asks for every member. */
const members: Readonly<Record<keyof Config, string>> = {
  home: "absolute path of the folder that holds all data",
  address: "address that is listened on",
  port: "0 to 65535; 0 takes a free one",
  engine: "`qemu` or `sim`",
  auth: "`on` or `off`; `off` only with `sim`",
  unknownAmi: "`reject` or `substitute`: whether images of AWS that are not here have one of here behind them",
  simSpeed: "cloud seconds in a real second, 0.001 to 1000000; 1 on `qemu`",
  warm: "`on` or `off`: whether guests may be clones of warm templates; may be left out, which is `on`",
  warmPool: "clones that are kept waiting, `4` or by type `t3.micro=4,t3.small=1`, at most 64; none if left out",
  publicCidr: "pool of public addresses; may be left out",
  throttle: "`true`: calls beyond the rates that EC2 documents are refused; left out otherwise",
  vcpuLimit: "vCPUs that an account may run in a region, of each group of types with a quota of its own; any number if left out",
  tls: "`true`: HTTPS is served beside HTTP on the port, with the certificate in the home's `tls` folder",
  region: "region of requests without a signature",
  account: "twelve digits: the first account",
}

/** Every variable that the code reads: one that is missing or too many stops the generator. */
const variables: Readonly<Record<string, string>> = {
  AWS_CONFIG_FILE: "where `up` writes the profile, else `~/.aws/config`",
  AWS_SHARED_CREDENTIALS_FILE: "where `up` writes the profile's keys, else `~/.aws/credentials`",
  FRACTUS_HOME: "`--home` where it is not given",
  FRACTUS_IMAGES: "`--images` of `up` where it is not given: `first` builds nothing in the background",
  FRACTUS_PROGRAM: "set by the script `fractus`: how it was called, for messages",
  HOME: "the user's folder",
  NO_COLOR: "no colours",
  PATH: "where programs are looked for",
  SUDO_GID: "set by sudo: files are made for this group",
  SUDO_UID: "set by sudo: files are made for this user",
  TMPDIR: "where `try` keeps its cloud's home, else `/dev/shm` where that is roomy, `/tmp`; with real guests `/var/tmp`",
  XDG_CACHE_HOME: "folder of Node's compile cache, else `~/.cache`",
  XDG_DATA_HOME: "folder of the default home of a user, else `~/.local/share`",
}

/** File name -> text. Throws where the variables that the code reads are not those that are described. */
export async function configuration(): Promise<Readonly<Record<string, string>>> {
  const known = new Set(Object.keys(variables))
  const wrong = [...known.symmetricDifference(new Set(readVariables()))]
  if (wrong.length > 0) throw new Error(`docs/reference/configuration.ts: variables ${wrong.join(", ")}`)
  // The help names the program as it was called; here it is always ./fractus.
  delete process.env["FRACTUS_PROGRAM"]
  const { buildProgram } = await import("#cli/program.ts")
  return {
    "configuration.md":
      [
        "# Configuration",
        "Everything is set by options of `up`, which writes `<home>/config.json` for the daemon.",
        `## Commands\n\n${commandsOf(buildProgram()).join("\n\n")}`,
        `## Environment\n\n${table(
          ["variable", "meaning"],
          Object.entries(variables).map(([name, meaning]) => [`\`${name}\``, meaning]),
        )}`,
        `## config.json\n\n${table(
          ["member", "meaning"],
          Object.entries(members).map(([name, meaning]) => [`\`${name}\``, meaning]),
        )}`,
        "",
      ]
        .join("\n\n")
        .trimEnd() + "\n",
  }
}

function commandsOf(parent: Command, path = ""): readonly string[] {
  return parent.commands.flatMap((command) => {
    const name = `${path}${command.name()}`
    const given = [`fractus ${name}`, ...command.registeredArguments.map(argument)].join(" ")
    const options = command.options.map((option) => [
      `\`${option.flags}\``,
      option.description + (option.argChoices === undefined ? "" : `: ${option.argChoices.join(", ")}`),
    ])
    const own = `### ${given}\n\n${command.description()}`
    const text = options.length === 0 ? own : `${own}\n\n${table(["option", "meaning"], options)}`
    return [text, ...commandsOf(command, `${name} `)]
  })
}

function argument(given: Argument): string {
  const name = given.variadic ? `${given.name()}...` : given.name()
  return given.required ? `<${name}>` : `[${name}]`
}

function readVariables(): readonly string[] {
  const sources = files("*.ts").filter((path) => !/\.test\.ts$|^(tests|docs|bench)\/|fixture|testing/.test(path))
  const pattern = /\benv(?:\.|\[")([A-Z][A-Z_]+)\b/g
  return [...new Set(sources.flatMap((path) => [...read(path).matchAll(pattern)].map(([, name = ""]) => name)))]
}
