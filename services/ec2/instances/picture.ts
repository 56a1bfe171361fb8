/** Pictures as hosts send them: binary PPM. https://netpbm.sourceforge.net/doc/ppm.html */

export interface Picture {
  readonly width: number
  readonly height: number
  /** Four bytes a pixel: red, green, blue, 255. */
  readonly data: Buffer
}

/** More would take seconds to encode, and no display of ours shows more. */
const maxPixels = 1920 * 1200

/**
 * Reads a PPM of at most 1920 x 1200 pixels, written as QEMU writes them: no comments, 255 the maximum. A guest that broke out of
 * its machine may have written it, so all must fit: throws for another header and for one byte too few or too many.
 */
export function readPicture(bytes: Buffer): Picture {
  const header = /^P6\n([1-9]\d{0,4}) ([1-9]\d{0,4})\n255\n/.exec(bytes.toString("latin1", 0, 32))
  if (!header) throw new Error("the host's picture is not a PPM")
  const [width, height] = [Number(header[1]), Number(header[2])]
  const pixels = width * height
  if (pixels > maxPixels) throw new Error(`a picture of ${width} x ${height} is too large`)
  const start = header[0].length
  if (bytes.length !== start + pixels * 3) throw new Error("the host's picture is not as long as it says")
  const data = Buffer.alloc(pixels * 4, 255)
  for (let from = start, to = 0; from < bytes.length; from += 3, to += 4) bytes.copy(data, to, from, from + 3)
  return { width, height, data }
}
