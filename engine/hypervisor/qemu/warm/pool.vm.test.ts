/** A clone that waited becomes the machine that it is taken for: seen in the guest, on the host, and by the next engine. */
import assert from "node:assert/strict"
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs"
import path from "node:path"
import { after, test } from "node:test"
import { endAll, prepareTraced, templateUid, warmLab } from "./lab.ts"

const lab = await warmLab("hvp")
after(() => lab.cleanUp())
const uids = { first: 2_099_700, count: 4 }
const ids = ["i-0123456789abcdef0", "i-0fedcba9876543210", "i-00000000000000001"] as const

/** As instances are called: a clone in the pool has names of these lengths. */
function spec(number: number, userData = "") {
  const made = lab.spec(number, ids[number - 1]!, userData)
  const disks = made.disks.map((disk) => ({ ...disk, serial: `vol0123456789abcde${number}f`.padEnd(20, "0") }))
  return { ...made, disks }
}
const pools = () => readdirSync("/run/netns").filter((name) => name.startsWith(`${lab.prefix}-pool`))
const words = (pid: number) => readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ")

test(
  "a machine takes a clone of the pool with its process, and has its own names in all of it",
  { timeout: 200_000 },
  async () => {
    const engine = await lab.open()
    const pool = engine.templates.pool ?? assert.fail()
    try {
      const like = spec(3)
      await assert.rejects(pool.add(like, uids), /no warm template of its kind yet/)
      await engine.templates.make(like, templateUid)
      const id = await pool.add(like, uids)
      const [member] = pool.members()
      assert.equal(member?.id, id)
      assert.deepEqual(await engine.list(), [], "it is no machine")
      const guest = { ...spec(1, "#!/bin/sh\necho ran >>/ran\n"), fromPool: id }
      assert.deepEqual(pools(), [member.tap.namespace])
      assert.match(await prepareTraced(engine, guest), /^clones template [0-9a-f]{32}, from the pool$/)
      lab.plug(1, (await engine.inspect(guest.id)).tap)
      await engine.resume(guest.id)
      assert.deepEqual(pool.members(), [])
      const { pid = 0, phase } = await engine.inspect(guest.id)
      assert.equal((await engine.inspect(guest.id)).tap, undefined)
      assert.deepEqual([pid, phase], [member.pid, "running"])
      assert.equal(existsSync(like.disks[0]!.path), false, "its disk is the machine's now")
      assert.equal(statSync(guest.disks[0]!.path).uid, uids.first)
      const asked =
        "cat /sys/class/dmi/id/board_asset_tag /sys/block/vda/serial; echo; cat /sys/class/net/eth0/address; sudo cat /sys/class/dmi/id/product_uuid; hostname"
      const told = (await lab.ssh(1, asked)).split(/\s+/).filter(Boolean)
      assert.deepEqual(told, [guest.id, guest.disks[0]!.serial, guest.nics[0]!.mac, guest.uuid, "clone-1"])
      assert.equal((await lab.ssh(1, "sudo /usr/lib/fractus/quick-answers eth0")).trim(), "0", "its routes are quick")
      // Of the login of nobody that warmed it up, nothing is left.
      const left = "sudo cat /home/ec2-user/.ssh/authorized_keys; ip -4 -o addr; ip route"
      const { authorizedKey } = guest.identity
      const lines = (await lab.ssh(1, left)).trim().split("\n")
      assert.equal(lines[0], authorizedKey)
      assert.doesNotMatch(lines.slice(1).join(), /nobody|ssh-|192\.0\.2\.2[ /]/)
      for (const name of [guest.id, guest.uuid, guest.disks[0]!.serial, guest.nics[0]!.mac])
        assert.ok(words(pid).includes(name), `${name} is no argument: ${words(pid)}`)
      assert.ok(!words(pid).includes(id))
    } finally {
      await endAll(engine)
      await engine.close()
    }
    assert.deepEqual(pools(), [])
    assert.deepEqual(readdirSync(path.join(lab.home, "run", "pool")), [])
  },
)
