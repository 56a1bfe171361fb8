/**
 * The hop limit of a token's answer: an IP_TTL on its connection, for which Node has no API. So one call into libc by
 * `node:ffi` (experimental), tried on a socket of our own at start; where that fails answers are not limited, and we say so.
 */
import type { Socket } from "node:net"
import { endianness } from "node:os"

const [inet, datagram, ip, ttlOption] = [2, 2, 0, 2]

const int = "i32"
const definitions = {
  socket: { return: int, arguments: [int, int, int] },
  setsockopt: { return: int, arguments: [int, int, int, "buffer", "u32"] },
  getsockopt: { return: int, arguments: [int, int, int, "buffer", "buffer"] },
  close: { return: int, arguments: [int] },
} as const

function integer(value: number): Buffer {
  const buffer = Buffer.alloc(4)
  if (endianness() === "LE") buffer.writeInt32LE(value)
  else buffer.writeInt32BE(value)
  return buffer
}

type Library = Awaited<ReturnType<typeof openLibrary>>

function proves(libc: Library): boolean {
  const descriptor = libc.socket(inet, datagram, 0)
  if (descriptor < 0) return false
  const found = integer(0)
  const works =
    libc.setsockopt(descriptor, ip, ttlOption, integer(7), 4) === 0 &&
    libc.getsockopt(descriptor, ip, ttlOption, found, integer(4)) === 0 &&
    found.equals(integer(7))
  libc.close(descriptor)
  return works
}

async function openLibrary() {
  const { dlopen } = await import("node:ffi")
  const { functions } = dlopen("libc.so.6", definitions)
  return functions
}

/** The network's router stands between us and the guest, and takes one hop: `hops` is what is left when it gets there. */
const routersBetween = 1

/** A function that sets how many hops a socket's packets may pass from the guest's own address on. */
export async function hopLimiter(log: (line: string) => void): Promise<(socket: Socket, hops: number) => void> {
  const libc = await openLibrary()
    .then((library) => (proves(library) ? library : undefined))
    .catch(() => undefined)
  if (libc === undefined) {
    log("this Node cannot set IP_TTL: the hop limit of tokens is not in force")
    return () => {}
  }
  const limited = new WeakSet<Socket>()
  return (socket, hops) => {
    const normal = hops >= 64
    if (normal && !limited.has(socket)) return
    const { _handle: handle } = socket as Socket & { readonly _handle?: { readonly fd?: number } }
    if (handle?.fd === undefined || handle.fd < 0) return
    libc.setsockopt(handle.fd, ip, ttlOption, integer(Math.min(255, hops + routersBetween)), 4)
    if (normal) limited.delete(socket)
    else limited.add(socket)
  }
}
