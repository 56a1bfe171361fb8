/** What the display of a simulated machine shows: that there is none. */

const words = "NO CODE RUNS HERE: SIM"
const [width, height, scale] = [640, 400, 4]

/** Five columns a letter, the topmost of seven pixels in the lowest bit. */
const font: { readonly [letter: string]: string } = {
  C: "3e41414122",
  D: "7f4141221c",
  E: "7f49494941",
  H: "7f0808087f",
  I: "00417f4100",
  M: "7f020c027f",
  N: "7f0408107f",
  O: "3e4141413e",
  R: "7f09192946",
  S: "4649494931",
  U: "3f4040403f",
  ":": "0036360000",
}

/** A PPM with the words above in the middle, grey on black. */
export function simPicture(): Buffer {
  const head = Buffer.from(`P6\n${width} ${height}\n255\n`)
  const picture = Buffer.concat([head, Buffer.alloc(width * height * 3)])
  const left = (width - words.length * 6 * scale) >> 1
  const top = (height - 7 * scale) >> 1
  for (const [index, letter] of words.split("").entries())
    for (const [column, bits] of Buffer.from(font[letter] ?? "", "hex").entries())
      for (let row = 0; row < 7; row++)
        if (bits & (1 << row)) dot(left + (index * 6 + column) * scale, top + row * scale)

  function dot(x: number, y: number): void {
    for (let line = y; line < y + scale; line++) {
      const start = head.length + (line * width + x) * 3
      picture.fill(0xaa, start, start + scale * 3)
    }
  }
  return picture
}
