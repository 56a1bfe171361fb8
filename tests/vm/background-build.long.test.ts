/** Images built in the background, by a recipe that takes seconds on an idle machine: killed, ended, begun again. Needs root. */
import assert from "node:assert/strict"
import { spawnSync } from "node:child_process"
import { mkdtempSync, rmdirSync } from "node:fs"
import { link, mkdir, mkdtemp, readFile, readdir, rm } from "node:fs/promises"
import { getPriority, tmpdir } from "node:os"
import { join } from "node:path"
import { type TestContext, test } from "node:test"
import { setTimeout as pause } from "node:timers/promises"
import { readAsked } from "#images/asked.ts"
import { defaultCacheDirectory } from "#images/build.ts"
import { debianImage } from "#images/catalog.ts"
import { isWhole } from "#images/image-folder.ts"
import { homeFiles } from "#cli/home.ts"
import { inRepository, repository } from "#cli/repository.ts"
import { backgroundBuild, startBackgroundBuild, stopBackgroundBuild } from "#cli/images/background.ts"
import { imagesOf } from "#cli/images/list.ts"

const main = inRepository("cli/images/fixture/small.ts")
const { id } = debianImage

async function until<T>(what: string, found: () => T | undefined | false | Promise<T | undefined | false>): Promise<T> {
  const end = performance.now() + 300_000
  for (;;) {
    const value = await found()
    if (value !== undefined && value !== false) return value
    assert.ok(performance.now() < end, `${what}: not within five minutes`)
    await pause(50)
  }
}

/** A place for homes and a cache of its own, which has those packages that this machine has fetched before. */
async function places(t: TestContext): Promise<{ home: string; other: string; cache: string }> {
  const folder = await mkdtemp(join(tmpdir(), "fractus-background-"))
  const [home, other, cache] = ["home", "other", "cache"].map((name) => join(folder, name)) as [string, string, string]
  t.after(async () => {
    for (const place of [home, other]) await stopBackgroundBuild(place, cache)
    await rm(folder, { recursive: true, force: true })
  })
  for (const place of [home, other, join(cache, "packages")]) await mkdir(place, { recursive: true })
  const from = join(defaultCacheDirectory, "packages")
  for (const name of await readdir(from).catch((): string[] => []))
    if (name.endsWith(".deb")) await link(join(from, name), join(cache, "packages", name)).catch(() => {})
  return { home, other, cache }
}

const stepOf = (home: string): string => readAsked(homeFiles(home).images)[0]?.step ?? ""
const isInstalling = (home: string): boolean => stepOf(home).startsWith("installing")

/** Command lines of living processes that name the folder. */
async function processesOf(folder: string): Promise<string[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
  const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")))
  return lines.filter((line) => line.includes(folder))
}

const remainsIn = async (folder: string): Promise<string[]> =>
  (await readdir(folder).catch((): string[] => [])).filter((name) => name.startsWith("."))

test("it is pending at the lowest priority, ends with all that it started, and goes on after any end", async (t) => {
  const { home, other, cache } = await places(t)
  const images = homeFiles(home).images
  await startBackgroundBuild(home, main, [cache])
  const first = await until("installing", () => isInstalling(home) && backgroundBuild(home))
  assert.equal(getPriority(first.pid), 19)
  await startBackgroundBuild(home, main, [cache])
  assert.equal(backgroundBuild(home)?.pid, first.pid, "one at a time")
  const [row] = await imagesOf(home, undefined)
  assert.deepEqual([row?.id, row?.state], [id, "pending"])
  assert.ok((row?.percent ?? 0) >= 50, `${row?.percent} % while it installs`)
  const packages = await readdir(join(cache, "packages"))

  assert.equal(await stopBackgroundBuild(home, cache), true)
  assert.deepEqual(await processesOf(cache), [])
  for (const folder of [images, join(cache, "images"), join(cache, "packages")])
    assert.deepEqual(await remainsIn(folder), [])
  assert.ok(!(await readFile("/proc/mounts", "utf8")).includes(cache))
  assert.deepEqual(await readdir(join(cache, "packages")), packages, "what was fetched is kept")
  assert.equal(await stopBackgroundBuild(home, cache), false)

  // Killed alone, as by the kernel when memory runs out: what it started ends with it.
  await startBackgroundBuild(home, main, [cache])
  const second = await until("installing", () => isInstalling(home) && backgroundBuild(home))
  process.kill(second.pid, "SIGKILL")
  await until("nothing that runs", async () => (await processesOf(cache)).length === 0)
  assert.deepEqual(readAsked(images), [])

  await startBackgroundBuild(home, main, [cache])
  // Another home of the machine does not build the same at the same time.
  await startBackgroundBuild(other, main, [cache])
  assert.match(stepOf(other), /^(waiting for another build|beginning)/)
  await until("the image", () => isWhole(join(images, id)))
  await until("the other home's", () => isWhole(join(homeFiles(other).images, id)))
  assert.doesNotMatch(await readFile(homeFiles(other).imageBuildLog, "utf8"), /installing/)
  await until("the end", () => backgroundBuild(home) === undefined && backgroundBuild(other) === undefined)
  for (const folder of [images, join(cache, "images")]) assert.deepEqual(await remainsIn(folder), [])
  assert.deepEqual(await readdir(join(cache, "packages")), packages)
  const [built] = await imagesOf(home, undefined)
  assert.equal(built?.state, "available")
})

/**
 * This machine as an overlay that lives in memory and in namespaces which end with it, without mmdebstrap: first with an apt that knows no
 * package, then with its own. Prints what the home then says and what was done.
 */
const withoutMmdebstrap = `
mount -t tmpfs tmpfs "$1"; cd "$1"; mkdir up work root
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/up,workdir=$1/work" root
mount -t proc proc root/proc; mount --rbind /dev root/dev; mount -t tmpfs tmpfs root/tmp; mkdir -p "root$2" root/tmp/h/home root/tmp/h/cache root/tmp/none/partial
mount --bind "$2" "root$2"
there() { chroot root "$@"; }
there dpkg --purge mmdebstrap >/dev/null
printf 'Dir::Etc::sourcelist "/dev/null";\nDir::Etc::sourceparts "/dev/null";\nDir::State::lists "/tmp/none";\n' >root/tmp/empty.conf
there env APT_CONFIG=/tmp/empty.conf "$3" "$4" /tmp/h/home /tmp/h/cache
cat root/tmp/h/home/images/.failed-*
there "$3" "$4" /tmp/h/home /tmp/h/cache >log 2>&1 &
until grep -E "looking up packages|_64: " log; do sleep 0.2; done
ls root/usr/bin/mmdebstrap
`

test("mmdebstrap is brought by the build; where apt cannot, the build is refused and the home says what mends it", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "fractus-overlay-"))
  t.after(() => rmdirSync(folder))
  const namespaces = ["--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"]
  const words = [...namespaces, "sh", "-ec", withoutMmdebstrap, "sh", folder, repository, process.execPath, main]
  const done = spawnSync("unshare", words, { encoding: "utf8", timeout: 400_000 })
  assert.equal(done.status, 0, done.stderr)
  const [, failure = "", after = ""] = /^({.*})\n([\s\S]*)$/m.exec(done.stdout) ?? []
  const { message, mend } = JSON.parse(failure) as { message: string; mend: string[] }
  assert.match(message, /^apt-get cannot install mmdebstrap/)
  assert.match(mend[0] ?? "", /apt-get install -y --no-install-recommends mmdebstrap$/)
  assert.match(mend[1] ?? "", /image build debian-12/)
  assert.match(after, /looking up packages\nroot\/usr\/bin\/mmdebstrap\n$/)
})
