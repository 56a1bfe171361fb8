/** Whom guest-services asks: the host's resolvers that it reaches by itself, then the relay. */
import type { Clock } from "#lib/clock.ts"
import { relayClient } from "../relay/client.ts"
import { hostResolvers, type Resolver, resolversOf } from "./host-resolvers.ts"
import { askResolver } from "./resolver.ts"
import type { Upstream } from "./upstream.ts"

export interface UpstreamOptions {
  /** The relay's socket. */
  readonly relay?: string | undefined
  /** Files of the host, see `ResolverFiles`. */
  readonly used?: string | undefined
  readonly behindStub?: string | undefined
}

/** One resolver, asked over the network from here. */
export const upstreamOf = (resolver: Resolver): Upstream => ({
  name: `${resolver.address} ${resolver.port}`,
  ask: (message, way, signal) => askResolver(message, way, resolver, signal),
})

/** "auto" follows the host's files, and falls back to the relay; "1.1.1.1,9.9.9.9:53" is asked as it is. */
export function upstreams(setting: string, clock: Clock, options: UpstreamOptions = {}): () => readonly Upstream[] {
  if (setting !== "auto") {
    const fixed = resolversOf(setting).map(upstreamOf)
    return () => fixed
  }
  const { relay, used, behindStub } = options
  const last = relay === undefined ? [] : [relayClient(relay)]
  const resolvers = hostResolvers(clock, {
    ...(used === undefined ? {} : { used }),
    ...(behindStub === undefined ? {} : { behindStub }),
  })
  // Three are asked in all: the relay must be among them.
  return () => [...resolvers().direct.slice(0, 2).map(upstreamOf), ...last]
}
