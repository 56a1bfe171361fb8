/** ansible, as Debian has it: one play of many tasks, and what each task told. */
import { execFile } from "node:child_process"
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import type { Access } from "../scenario/client.ts"

type Members = Readonly<Record<string, unknown>>

export interface Task {
  readonly name: string
  /** Of amazon.aws: "ec2_instance". */
  readonly module: string
  /** `$name` in a text stands for what an earlier task kept. */
  readonly args: Members
  /** name -> path in the result, "instances.0.instance_id". */
  readonly keep?: Readonly<Record<string, string>>
  /** Whether it must fail. */
  readonly fails?: boolean
}

const deadlineMs = 600_000

/**
 * Each task's result, in their order. Runs the system's ansible with the system's Python and boto3; all that it writes goes below `folder`. Throws
 * with what ansible said when a task fails that must not, or the other way round.
 */
export async function play(tasks: readonly Task[], { env }: Access, folder: string): Promise<readonly Members[]> {
  const file = join(folder, "play.json")
  await writeFile(file, JSON.stringify([playOf(tasks)], undefined, 2))
  const own = {
    ...env,
    PATH: "/usr/bin:/bin:/usr/sbin:/sbin",
    HOME: folder,
    ANSIBLE_LOCAL_TEMP: join(folder, "local"),
    ANSIBLE_REMOTE_TEMP: join(folder, "remote"),
    ANSIBLE_LOCALHOST_WARNING: "false",
    ANSIBLE_NOCOLOR: "true",
    ANSIBLE_STDOUT_CALLBACK: "ansible.posix.json",
  }
  const said = await new Promise<string>((resolve, reject) => {
    const options = { env: own, timeout: deadlineMs, maxBuffer: 1 << 26 }
    execFile("/usr/bin/ansible-playbook", [file], options, (error, stdout, stderr) =>
      error === null ? resolve(stdout) : reject(new Error(`${stdout}${stderr}`, { cause: error })),
    )
  })
  return resultsIn(said)
}

function playOf(tasks: readonly Task[]): Members {
  const kept = new Map<string, string>()
  return {
    hosts: "localhost",
    gather_facts: false,
    module_defaults: { "group/aws": { endpoint_url: "{{ lookup('env', 'AWS_ENDPOINT_URL') }}" } },
    tasks: tasks.map(({ name, module, args, keep = {}, fails = false }, index) => {
      const filled = fill(args, kept)
      for (const [each, path] of Object.entries(keep)) kept.set(each, `{{ told_${index}.${path} }}`)
      return {
        name,
        [`amazon.aws.${module}`]: filled,
        register: `told_${index}`,
        ...(fails && { failed_when: `told_${index}.error is not defined` }),
      }
    }),
  }
}

function fill(value: unknown, kept: ReadonlyMap<string, string>): unknown {
  if (typeof value === "string") return value.replaceAll(/\$(\w+)/g, (all, name: string) => kept.get(name) ?? all)
  if (Array.isArray(value)) return value.map((each) => fill(each, kept))
  if (typeof value !== "object" || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, fill(each, kept)]))
}

function resultsIn(said: string): readonly Members[] {
  const { plays } = JSON.parse(said) as {
    readonly plays: readonly { readonly tasks: readonly { readonly hosts: Readonly<Record<string, Members>> }[] }[]
  }
  return plays.flatMap(({ tasks }) => tasks.map(({ hosts }) => hosts["localhost"] ?? {}))
}
