/** Talks with the agent in a guest (images/agent): the other end is hostile, and says no more than a few short lines. */
import { createHash, generateKeyPairSync, randomBytes } from "node:crypto"
import { createConnection, isIPv4 } from "node:net"
import type { Clock } from "#lib/clock.ts"
import { type Identity, NotPersonalised } from "../../types.ts"
import { printable } from "../qmp.ts"

const heardLimitBytes = 1024
const messageLimitBytes = 65_536

export interface Agent {
  /** Resolves when the template has come as far as it can. */
  waiting(timeoutMs: number): Promise<void>
  /** Tells the guest who it is and what time it is, and resolves when it says that it is that. */
  tell(identity: FullIdentity, clock: Pick<Clock, "wallMs">, timeoutMs: number): Promise<void>
  /** The same with an identity that is nobody's, any number of times before. Ended by `over`, which resolves when it waits again. */
  rehearse(identity: FullIdentity, clock: Pick<Clock, "wallMs">, timeoutMs: number): Promise<void>
  over(timeoutMs: number): Promise<void>
  /** What the guest then does may begin, and what time it is really. Resolves when it is said; ends the conversation. */
  go(): Promise<void>
  close(): void
}

/** With what the specification of the machine says. */
export interface FullIdentity extends Identity {
  readonly instance: string
  readonly uuid: string
  readonly mac: string
}

/** Whether the agent takes it: the limits of images/agent, and no character that ends a line where there is only one. */
export const isTellable = (identity: Identity): boolean =>
  /^[a-z0-9]([a-z0-9.-]{0,62}[a-z0-9])?$/.test(identity.hostName) &&
  /^[\x20-\x7e]{0,8000}$/.test(identity.authorizedKey) &&
  [identity.address, identity.gateway].every((each) => isIPv4(each)) &&
  Number.isInteger(identity.prefixLength) &&
  identity.prefixLength >= 1 &&
  identity.prefixLength <= 32 &&
  /^[\x20-\x7e\n]{0,512}$/.test(identity.resolver) &&
  identity.userData.length <= 16_384

const toNs = (wallMs: number) => `${BigInt(Math.round(wallMs * 1000)) * 1000n}`

/** The message, with a new ed25519 host key and seed in it. Neither is kept here or anywhere else outside of the guest. */
export function identityMessage(
  identity: FullIdentity,
  wallMs: number,
  kind: "identity" | "rehearsal" = "identity",
): Buffer {
  const { privateKey } = generateKeyPairSync("ed25519")
  const { d = "", x = "" } = privateKey.export({ format: "jwk" })
  const { authorizedKey, uuid, instance } = identity
  const fields: Readonly<Record<string, string | Uint8Array>> = {
    seed: randomBytes(64),
    "time-ns": toNs(wallMs),
    "host-name": identity.hostName,
    "host-key": Buffer.concat([Buffer.from(d, "base64url"), Buffer.from(x, "base64url")]),
    "authorized-key": authorizedKey === "" ? "" : `${authorizedKey}\n`,
    // Not a secret: one that follows from the machine stays the same when it is started anew.
    "machine-id": createHash("sha256").update(`machine-id ${uuid}`).digest("hex").slice(0, 32),
    uuid,
    instance,
    mac: identity.mac,
    address: identity.address,
    prefix: `${identity.prefixLength}`,
    gateway: identity.gateway,
    resolver: identity.resolver,
    "user-data": identity.userData,
  }
  const parts = Object.entries(fields).flatMap(([name, value]) => {
    const bytes = typeof value === "string" ? Buffer.from(value, "latin1") : value
    return [Buffer.from(`${name} ${bytes.length}\n`), bytes, Buffer.from("\n")]
  })
  const body = Buffer.concat(parts)
  if (body.length > messageLimitBytes) throw new NotPersonalised("the identity is too long")
  return Buffer.concat([Buffer.from(`${kind} 1 ${body.length}\n`), body])
}

/** Connects to a guest's port. Rejects when nobody listens there. */
export async function connectAgent(path: string): Promise<Agent> {
  const socket = createConnection(path)
  await new Promise<void>((resolve, reject) => {
    socket.once("connect", resolve)
    socket.once("error", reject)
  })
  /** What it takes to correct the guest's clock, which was set to what was so before it woke. */
  let time: (() => string) | undefined
  let heard = ""
  let size = 0
  let ended: string | undefined
  let wake = () => {}
  socket.on("data", (part: Buffer) => {
    heard += part.toString("latin1")
    if ((size += part.length) > heardLimitBytes) socket.destroy(new Error("it says too much"))
    wake()
  })
  socket.on("error", (error) => (ended ??= error.message))
  socket.on("close", () => {
    ended ??= "its machine is gone"
    wake()
  })

  /** Resolves when all that was heard is `wanted`, and rejects as soon as it cannot become that. */
  const hear = async (wanted: string, timeoutMs: number) => {
    const { promise: late, resolve } = Promise.withResolvers<"late">()
    const timer = setTimeout(() => resolve("late"), timeoutMs)
    try {
      for (;;) {
        if (heard === wanted) return void (heard = "")
        if (!wanted.startsWith(heard) && (heard.includes("\n") || heard.length > 200))
          throw new NotPersonalised(`the agent says: ${printable(heard)}`)
        if (ended !== undefined) throw new NotPersonalised(`the agent: ${printable(ended)}`)
        const news = new Promise<void>((done) => (wake = done))
        if ((await Promise.race([news, late])) === "late")
          throw new NotPersonalised(`the agent is silent for ${timeoutMs} ms`)
      }
    } finally {
      clearTimeout(timer)
    }
  }

  return {
    waiting: (timeoutMs) => hear("waiting 1\n", timeoutMs),
    async tell(identity, clock, timeoutMs) {
      socket.write(identityMessage(identity, clock.wallMs()))
      await hear("ready\n", timeoutMs)
      const heardMs = clock.wallMs()
      time = () => `time ${toNs(heardMs)} ${toNs(clock.wallMs())}\n`
    },
    async rehearse(identity, clock, timeoutMs) {
      socket.write(identityMessage(identity, clock.wallMs(), "rehearsal"))
      await hear("ready\n", timeoutMs)
    },
    async over(timeoutMs) {
      socket.write("over\n")
      await hear("waiting 1\n", timeoutMs)
    },
    async go() {
      if (time) socket.write(time())
      await new Promise<void>((resolve, reject) => {
        socket.once("error", reject)
        socket.end("go\n", resolve)
      })
    },
    close: () => socket.destroy(),
  }
}
