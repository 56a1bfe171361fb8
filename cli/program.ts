import { Argument, Command, Option } from "commander"
import { readFileSync } from "node:fs"
import { program as called } from "./failure.ts"
import { cidrOption, linesOption, poolOption, portOption, speedOption, vcpuOption, type UpOptions } from "./options.ts"
import { inRepository } from "./repository.ts"
import type { BenchOptions } from "./commands/bench.ts"

type Home = { home?: string; json?: boolean }

const version = (): string => {
  const manifest: { version: string } = JSON.parse(readFileSync(inRepository("package.json"), "utf8"))
  return manifest.version
}

const homeOption = (): Option => new Option("--home <dir>", "folder of this cloud's data (or FRACTUS_HOME)")
const jsonOption = (): Option => new Option("--json", "print JSON (schemas in docs/reference/cli)")
const yesOption = (): Option => new Option("-y, --yes", "do not ask")

/** A command that works on a home. */
const onHome = (parent: Command, name: string, description: string): Command =>
  parent.command(name).description(description).addOption(homeOption())

const addUp = (root: Command): void => {
  onHome(root, "up", "start this cloud; returns when it serves and its first image is available")
    .option("--port <n>", "port on 127.0.0.1 (4566, or this home's last)", portOption)
    .addOption(
      new Option("--engine <engine>", "real guests or simulated ones; auto never simulates").choices([
        "auto",
        "qemu",
        "sim",
      ]),
    )
    .addOption(new Option("--auth <auth>", "check signatures; off only with --engine sim").choices(["on", "off"]))
    .addOption(
      new Option(
        "--unknown-ami <what>",
        "images of AWS that are not here: refused, or one of here in their place",
      ).choices(["reject", "substitute"]),
    )
    .option("--sim-speed <x>", "cloud seconds per second, with --engine sim", speedOption)
    .addOption(new Option("--warm <state>", "clone guests of warm templates; on by default").choices(["on", "off"]))
    .option("--warm-pool <n>", "keep so many clones running and waiting: 4, or t3.micro=4,t3.small=1", poolOption)
    .option("--public-cidr <cidr>", "pool of public addresses", cidrOption)
    .option("--vcpu-limit <n>", "vCPUs that an account may run in a region (any number)", vcpuOption)
    .option("--throttle", "refuse calls beyond the rates that EC2 documents, as RequestLimitExceeded")
    .addOption(
      new Option("--images <which>", "build debian-12 too, in the background, or not (or FRACTUS_IMAGES)").choices([
        "all",
        "first",
      ]),
    )
    .option("--tls", "serve HTTPS beside HTTP on the one port, with a certificate authority of the home's own")
    .option("--no-tls", "serve HTTP alone")
    .option("--foreground", "stay attached to the daemon")
    .addOption(
      new Option("--enable", "have systemd start it, now and at each boot").conflicts(["disable", "foreground"]),
    )
    .addOption(new Option("--disable", "remove the systemd unit; guests go on").conflicts("foreground"))
    .addOption(yesOption())
    .option("--no-profile", "leave the AWS config and credentials files alone")
    .option("--demo", "fill it with an example (not yet)")
    .addOption(jsonOption())
    .action(async (options: UpOptions) => (await import("./commands/up.ts")).up(options))
}

const addLife = (root: Command): void => {
  onHome(root, "down", "stop guests, networks and the daemon; data stays")
    .addOption(jsonOption())
    .action(async (options: Home) => (await import("./commands/down.ts")).down(options))
  onHome(root, "restart", "start the daemon anew; guests go on")
    .addOption(jsonOption())
    .action(async (options: Home) => (await import("./commands/restart.ts")).restart(options))
  onHome(root, "status", "what runs")
    .addOption(jsonOption())
    .action(async (options: Home) => (await import("./commands/status.ts")).status(options))
  onHome(root, "doctor", "look for what is missing or wrong")
    .addOption(jsonOption())
    .action(async (options: Home) => (await import("./commands/doctor.ts")).doctor(options))
  onHome(root, "why", "how an instance, volume, VPC or group came to be as it is: calls, steps, commands, times")
    .argument("<resource>", "its id")
    .addOption(jsonOption())
    .action(async (resource: string, options: Home) => (await import("./commands/why.ts")).why(resource, options))
  onHome(root, "logs", "the daemon's log")
    .option("-n, --lines <n>", "how many lines from the end", linesOption, 100)
    .option("-f, --follow", "go on with what comes")
    .action(async (options: Home & { lines: number; follow?: boolean }) =>
      (await import("./commands/logs.ts")).logs(options),
    )
}

const addUse = (root: Command): void => {
  onHome(root, "env", `export lines for a shell: eval "$(${called} env)"`)
    .addOption(jsonOption())
    .action(async (options: Home) => (await import("./commands/env.ts")).env(options))
  onHome(root, "aws", "the AWS CLI of this machine, with endpoint and keys")
    .argument("[args...]", "the AWS CLI's own words")
    .helpOption(false)
    .allowUnknownOption()
    .passThroughOptions()
    .action(async (args: string[], options: Home) => (await import("./commands/aws.ts")).aws(args, options))
  onHome(root, "ssh", "log in to an instance as its image's user")
    .argument("<instance>", "its id or its Name tag")
    .argument("[args...]", "ssh's own options, then a command")
    .option("-i, --identity <file>", "private key (else KEYNAME.pem here or in ~/.ssh)")
    .passThroughOptions()
    .action(async (instance: string, args: string[], options: Home & { identity?: string }) =>
      (await import("./commands/ssh.ts")).ssh(instance, args, options),
    )
}

const addTry = (root: Command): void => {
  root
    .command("try")
    .description("run a command against a cloud of its own, which is gone afterwards")
    .argument("[command...]", "the command; its exit code is ours")
    .addOption(
      new Option("--engine <engine>", "simulated instances, or real ones (as root)")
        .choices(["sim", "qemu"])
        .default("sim"),
    )
    .addOption(
      new Option(
        "--json",
        "instead of a command: print the cloud as one line of JSON, serve until standard input ends",
      ),
    )
    .passThroughOptions()
    .action(async (command: string[], options: { engine: "sim" | "qemu"; json?: boolean }) =>
      (await import("./commands/try.ts")).tryOut(command, options),
    )
}

const addThings = (root: Command): void => {
  const image = root.command("image").description("machine images")
  onHome(image, "list", "the images of this cloud, and those that it could build")
    .addOption(jsonOption())
    .action(async (options: Home) => (await import("./commands/image.ts")).listImages(options))
  onHome(image, "build", "build a machine image (as root): pending meanwhile")
    .argument("[name]", "fractus-micro or debian-12", "fractus-micro")
    .addOption(jsonOption())
    .action(async (name: string, options: Home) => (await import("./commands/image.ts")).buildImageOf(name, options))
  onHome(image, "warm", "have launches of a type from an image be clones of a warm template")
    .argument("<image>", "its name or id")
    .option("--instance-type <type>", "the instance type", "t3.micro")
    .addOption(jsonOption())
    .action(async (word: string, options: Home & { instanceType: string }) =>
      (await import("./commands/image.ts")).warmImageOf(word, options),
    )
  onHome(image, "remove", "remove a machine image that nothing stands on (as root)")
    .argument("<image>", "its name or id")
    .addOption(jsonOption())
    .action(async (word: string, options: Home) => (await import("./commands/image.ts")).removeImageOf(word, options))
  const account = root.command("account").description("accounts of this cloud")
  onHome(account, "create", "make an account with a root access key")
    .argument("<name>")
    .addOption(jsonOption())
    .action(async (name: string, options: Home) => (await import("./commands/account.ts")).createAccount(name, options))
  onHome(account, "list", "the accounts")
    .addOption(jsonOption())
    .action(async (options: Home) => (await import("./commands/account.ts")).listAccounts(options))
}

const addWork = (root: Command): void => {
  onHome(root, "test", "run the tests; those with real guests need root")
    .addArgument(
      new Argument("[suites...]", "which (unit api vm; all is these, faults and long)").choices([
        "unit",
        "api",
        "vm",
        "faults",
        "long",
        "all",
      ]),
    )
    .addOption(yesOption())
    .addOption(jsonOption())
    .action(async (suites: ("unit" | "api" | "vm" | "faults" | "long" | "all")[], options: Home & { yes?: boolean }) =>
      (await import("./commands/test.ts")).test(suites, options),
    )
  onHome(root, "bench", "run a benchmark, or all")
    .argument("[name]")
    .option("--pairs <n>", "how many pairs, of those that measure in pairs (launch: 20, others: 15)")
    .option("--at-once <n>", "launch: that many by one call, instead of one after the other")
    .option("--script <n>", "launch: the README's lines instead, so many times")
    .option("--sides <names>", "launch: some of cold,hand,warm,pool,resume, all if missing")
    .option("--image <kind>", "launch: of debian-12 instead, which is built first")
    .addOption(jsonOption())
    .action(async (name: string | undefined, options: Home & BenchOptions) =>
      (await import("./commands/bench.ts")).bench(name, options),
    )
  root
    .command("completion")
    .description("completion for a shell")
    .addArgument(new Argument("<shell>").choices(["bash", "zsh"]))
    .action(async (shell: "bash" | "zsh") => {
      const { bashCompletion, zshCompletion } = await import("./completion.ts")
      process.stdout.write(`${(shell === "bash" ? bashCompletion : zshCompletion)(root)}\n`)
    })
}

/** The tree of commands. Each command's own code is loaded when it is called. */
export const buildProgram = (): Command => {
  const root = new Command("fractus")
    .description("EC2 on machines you own: real virtual machines behind the AWS API")
    .version(version(), "-V, --version")
    .enablePositionalOptions()
    .exitOverride()
    .showHelpAfterError(`To see what it takes: ${called} help, or ${called} COMMAND --help`)
    .showSuggestionAfterError()
  addUp(root)
  addLife(root)
  addUse(root)
  addTry(root)
  addThings(root)
  addWork(root)
  return root
}
