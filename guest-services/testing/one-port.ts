/** For tests: a resolver's two sockets at one port of 127.0.0.1. */
import type { Socket } from "node:dgram"
import { once } from "node:events"
import type { Server } from "node:net"

interface Both {
  readonly udp: Socket
  readonly tcp: Server
}

const tries = 20

/** Both listen when it resolves. The kernel gives a port that is free for the one, and may be another process's for the other: then it is tried with new ones. */
export async function onOnePort<Pair extends Both>(make: () => Pair): Promise<Pair> {
  for (let left = tries; ; left--) {
    const pair = make()
    pair.udp.bind(0, "127.0.0.1")
    await once(pair.udp, "listening")
    pair.tcp.listen(pair.udp.address().port, "127.0.0.1")
    try {
      await once(pair.tcp, "listening")
      return pair
    } catch (error) {
      pair.udp.close()
      if (left === 0) throw error
    }
  }
}
