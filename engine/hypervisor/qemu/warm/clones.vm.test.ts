import assert from "node:assert/strict"
import { execFileSync } from "node:child_process"
import { randomBytes } from "node:crypto"
import { readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs"
import path from "node:path"
import { after, test } from "node:test"
import { encryptQcow2 } from "#engine/storage/qcow2/luks.ts"
import { until } from "../../conformance.ts"
import { newImageKey, removeMemoryImage } from "../../memory-image.ts"
import type { MachineSpec } from "../../types.ts"
import { isUntouched } from "./template-key.ts"
import { endAll, prepareTraced, type Lab, type WarmEngine, warmLab, templateUid } from "./lab.ts"

const lab = await warmLab("hvw")
after(() => lab.cleanUp())
const userData = "#!/bin/sh\nhead -c 16 /dev/urandom | hexdump -v -e '1/1 \"%02x\"' >/drawn; echo ran $(hostname)\n"

/** The random part of the first message after the banner: RFC 4253, section 7.1. */
const cookie = `let b=Buffer.alloc(0);require("net").connect(22,process.argv[1]).on("data",(d)=>{b=Buffer.concat([b,d]);
const at=b.indexOf("\\n")+1;if(at>0&&b.length>=at+22){console.log(b.toString("hex",at+6,at+22));process.exit()}}).setTimeout(20000,()=>process.exit(1))`

/** What must differ between two machines, as each of them tells it. */
async function facts({ inside, ssh }: Lab, number: number): Promise<Record<string, string>> {
  const commands = {
    bootId: "cat /proc/sys/kernel/random/boot_id",
    machineId: "cat /etc/machine-id; echo",
    hostKey: "sudo dropbearkey -y -f /etc/dropbear/dropbear_ed25519_host_key | grep ^ssh-",
    drawnByUserData: "cat /drawn; echo",
    drawnNow: "head -c 16 /dev/urandom | hexdump -v -e '1/1 \"%02x\"'; echo",
    hostName: "hostname",
    address: "ip -o -4 addr show eth0",
    mac: "cat /sys/class/net/eth0/address",
    localAddress: "ip -o -6 addr show eth0",
    uuid: "sudo cat /sys/class/dmi/id/product_uuid",
    asset: "cat /sys/class/dmi/id/board_asset_tag",
  }
  await until("user-data", async () => (await ssh(number, "ls /drawn || true")) !== "", 60_000)
  const lines = (await ssh(number, Object.values(commands).join("; "))).trim().split("\n")
  assert.equal(lines.length, Object.keys(commands).length, lines.join("\n"))
  const told = Object.fromEntries(Object.keys(commands).map((key, at) => [key, lines[at] ?? ""]))
  return { ...told, cookie: (await inside(process.execPath, "-e", cookie, `192.0.2.${10 + number}`)).trim() }
}

async function withEngine(work: (engine: WarmEngine) => Promise<void>): Promise<void> {
  const engine = await lab.open()
  try {
    await work(engine)
  } finally {
    await endAll(engine)
    await engine.close()
  }
}

/** The machine's disk, encrypted; templates' disks are not. */
async function encrypted<Spec extends MachineSpec>(spec: Spec): Promise<Spec> {
  const secret = randomBytes(32).toString("hex")
  for (const disk of spec.disks) await encryptQcow2(disk.path, secret)
  return { ...spec, disks: spec.disks.map((disk) => ({ ...disk, secret: () => secret })) }
}

/** A clone hibernates with all of its RAM, most of which is still the template's, and goes on on RAM of its own. */
async function sleepAndGoOn(engine: WarmEngine, spec: MachineSpec, bootId: string): Promise<void> {
  const image = { path: path.join(lab.home, "image"), key: newImageKey() }
  await engine.hibernate(spec.id, image)
  await engine.prepare({ ...spec, resumeFrom: image })
  removeMemoryImage(image.path)
  await engine.resume(spec.id)
  assert.equal((await lab.ssh(2, "cat /proc/sys/kernel/random/boot_id")).trim(), bootId)
  const { pid } = await engine.inspect(spec.id)
  assert.equal(readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("memory-backend-file"), false)
}

test(
  "clones answer ssh as who they are told to be, and share nothing, with an encrypted disk or not",
  { timeout: 300_000 },
  (t) =>
    withEngine(async (engine) => {
      const [one, two] = [lab.spec(1, "i-one", userData), await encrypted(lab.spec(2, "i-two", userData))]
      assert.match((await engine.templates.missing(one)) ?? "", /no warm template/)
      await engine.templates.make(one, templateUid)
      assert.equal(await engine.templates.missing(one), undefined)
      assert.ok(isUntouched(one), "making a template writes to nobody's disk")
      for (const spec of [one, two]) {
        const startMs = performance.now()
        assert.match(await prepareTraced(engine, spec), /^clones template/)
        assert.equal((await engine.inspect(spec.id)).phase, "prepared")
        await engine.resume(spec.id)
        t.diagnostic(`${spec.id} is somebody after ${(performance.now() - startMs) | 0} ms`)
      }
      for (const spec of [one, two]) {
        const { pid } = await engine.inspect(spec.id)
        const status = readFileSync(`/proc/${pid}/status`, "utf8")
        assert.match(status, new RegExp(`^Uid:\\s+${spec.uid}\\s[^]*^CapEff:\\s+0+$[^]*^Seccomp:\\s+2$`, "m"))
        const shared = /^Shared_Dirty:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))
        t.diagnostic(`${spec.id} shares ${shared?.[1]} kB of RAM`)
        assert.ok(Number(shared?.[1]) > 10_000)
      }
      const [first, second] = [await facts(lab, 1), await facts(lab, 2)]
      for (const [key, value] of Object.entries(first)) {
        assert.ok(value !== "", key)
        assert.notEqual(value, second[key], key)
      }
      assert.equal(first["hostName"], "clone-1")
      assert.equal(first["mac"], one.nics[0]?.mac)
      assert.match(first["address"] ?? "", /192\.0\.2\.11\/24/)
      assert.equal(first["uuid"], one.uuid)
      assert.equal(first["asset"], one.id)
      for (const number of [1, 2]) {
        const before = Date.now()
        const now = Number(await lab.ssh(number, "bash -c 'echo $EPOCHREALTIME'")) * 1000
        assert.ok(now > before - 50 && now < Date.now() + 50, `its clock is ${now - before} ms ahead`)
      }
      const said = async () => (await engine.consoleOutput("i-one", 65_536)).toString()
      assert.match(await said(), /ran clone-1/)
      assert.match(await said(), /BEGIN SSH HOST KEY FINGERPRINTS/)
      await sleepAndGoOn(engine, two, second["bootId"] ?? "")
      // It starts over as any machine does, from its own disk.
      await engine.kill("i-two")
      await engine.reset("i-one")
      await until("a second boot", async () => (await said()).includes("userspace up"), 90_000)
      assert.equal(await prepareTraced(engine, { ...two, id: "i-again" }), "boots: its disk has been written to")
    }),
)

test("a template that is not what was written is refused with the reason, and the machine boots", async () => {
  const [key = ""] = readdirSync(lab.templates)
  const folder = path.join(lab.templates, key)
  const kept = path.join(lab.home, "kept")
  const [ram, state, facts] = ["ram.bin", "state.bin", "template.json"].map((name) => path.join(folder, name)) as [
    string,
    string,
    string,
  ]
  execFileSync("cp", ["-a", "--sparse=always", folder, kept])
  const flip = (file: string, at: number) => {
    const bytes = readFileSync(file)
    bytes[at]! ^= 1
    writeFileSync(file, bytes)
  }
  const cases: readonly (readonly [RegExp, () => void])[] = [
    [/ram\.bin is not what was written/, () => flip(ram, 0x10_0000)],
    [/ram\.bin is of another size/, () => truncateSync(ram, statSync(ram).size - 1_048_576)],
    [/state\.bin is not what was written/, () => flip(state, 1000)],
    [/state\.bin is of another size/, () => truncateSync(state, 1000)],
    [/state\.bin is of another size/, () => execFileSync("cp", ["--sparse=always", ram, state])],
    [
      /template\.json is of another/,
      () => writeFileSync(facts, readFileSync(facts, "utf8").replace(key, "0".repeat(32))),
    ],
    [/template\.json cannot be read/, () => truncateSync(facts, 20)],
    [/no such file/, () => execFileSync("rm", [ram])],
  ]
  for (const [reason, damage] of cases) {
    execFileSync("cp", ["-a", "--sparse=always", "-T", kept, folder])
    damage()
    await withEngine(async (engine) => {
      const said = await prepareTraced(engine, lab.spec(1, "i-damaged"))
      assert.match(said, reason)
      assert.match(said, /boots: template/)
      assert.equal((await engine.inspect("i-damaged")).phase, "prepared")
      assert.deepEqual(readdirSync(lab.templates), [], "it is not tried again")
    })
  }
  execFileSync("cp", ["-a", "--sparse=always", "-T", kept, folder])
  await withEngine(async (engine) => {
    assert.match(await prepareTraced(engine, lab.spec(1, "i-whole")), /^clones template/)
    const { identity: _, ...plain } = lab.spec(2, "i-plain")
    assert.equal(await prepareTraced(engine, plain), "", "without an identity a machine boots")
    assert.match(await prepareTraced(engine, { ...lab.spec(3, "i-large"), memoryMiB: 192 }), /boots: there is no warm/)
  })
  const proven = path.join(lab.home, "state", "accelerator.json")
  writeFileSync(proven, readFileSync(proven, "utf8").replace(/"version":"[^"]+"/, '"version":"7.2.999"'))
  await withEngine(async (engine) => {
    const said = await prepareTraced(engine, lab.spec(1, "i-later"))
    assert.match(said, /boots: there is no warm template/, "another QEMU, another template")
  })
})
