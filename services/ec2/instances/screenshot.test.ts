import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import jpeg from "jpeg-js"
import { simPicture } from "../../../engine/hypervisor/sim/picture.ts"
import { toJpeg } from "./jpeg.ts"
import { readPicture } from "./picture.ts"

const ppm = (header: string, bytes: number) => Buffer.concat([Buffer.from(header), Buffer.alloc(bytes)])

test("the picture of a host arrives as a JPEG that shows the same", async () => {
  const { width, height, data } = readPicture(simPicture())
  const shown = jpeg.decode(await toJpeg(simPicture()))
  assert.deepEqual([shown.width, shown.height], [width, height])
  // Bright where it was bright, dark where it was dark; a JPEG rounds.
  let most = 0
  for (let at = 0; at < data.length; at += 4) most = Math.max(most, Math.abs(data[at]! - shown.data[at]!))
  assert.ok(most < 80, `off by ${most}`)
  assert.ok(data.some((value, at) => at % 4 === 0 && value > 100) && data.some((value) => value === 0))
})

test("what is no picture, or not the one that it says, is refused before anything is made of it", async () => {
  const bad = [
    Buffer.alloc(0),
    ppm("P6\n2 2\n255\n", 11),
    ppm("P6\n2 2\n255\n", 13),
    ppm("P6\n0 2\n255\n", 0),
    ppm("P6\n99999 99999\n255\n", 12),
    ppm("P6\n1921 1200\n255\n", 1921 * 1200 * 3),
    ppm("P6\n2 2\n65535\n", 24),
    ppm("P5\n2 2\n255\n", 12),
    ppm("P6\n# 2 2\n2 2\n255\n", 12),
  ]
  for (const bytes of bad) assert.throws(() => readPicture(bytes), /picture/)
  await assert.rejects(toJpeg(bad[1]!), /not as long/)
  const anything = fc.oneof(
    fc.uint8Array({ maxLength: 64 }),
    fc.tuple(fc.nat(), fc.nat(), fc.nat(40)).map(([width, height, more]) => ppm(`P6\n${width} ${height}\n255\n`, more)),
  )
  fc.assert(
    fc.property(anything, (bytes) => {
      try {
        const { width, height, data } = readPicture(Buffer.from(bytes))
        assert.equal(data.length, width * height * 4)
      } catch (error) {
        assert.match(String(error), /picture/)
      }
    }),
  )
})

test("pictures asked for at the same time are made in turn; too many are refused, and one after them is made", async () => {
  const asked = Array.from({ length: 35 }, () => toJpeg(simPicture()))
  const outcomes = await Promise.allSettled(asked)
  const refused = outcomes.filter((outcome) => outcome.status === "rejected")
  assert.equal(refused.length, 1)
  assert.equal(refused[0]?.reason.code, "RequestLimitExceeded")
  assert.ok((await toJpeg(simPicture())).length > 1000)
})
