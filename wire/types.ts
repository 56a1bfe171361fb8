/** What the wire gives to and takes from the rest: typed calls without bytes. */

/** A form in, XML out. */
export type QueryProtocol = "ec2Query" | "awsQuery"
/** A document in, a document out, at one path. */
export type RpcProtocol = "awsJson1_0" | "awsJson1_1" | "rpcv2Cbor"
/** Method and path name the operation; parameters stand in path, query, headers and body. */
export type RestProtocol = "restJson1" | "restXml"
export type Protocol = QueryProtocol | RpcProtocol | RestProtocol

/** Who signed a request and what for. */
export interface Caller {
  readonly accessKeyId: string
  readonly account: string
  /** ARN of the principal: "arn:aws:iam::123456789012:root". */
  readonly arn: string
  readonly userId: string
}

export interface RequestInfo {
  readonly requestId: string
  readonly service: string
  readonly operation: string
  readonly region: string
  readonly caller: Caller
  readonly sourceAddress: string
  readonly userAgent: string
  /** Aborted when the client goes away or the server drains past its deadline. */
  readonly signal: AbortSignal
}

/** A body that is read as it comes. */
export interface StreamBody extends AsyncIterable<Uint8Array> {
  /** Headers that came after the content: complete once it was read to its end. */
  readonly trailers: ReadonlyMap<string, string>
  /** Names that the request announced for them, in lower case. */
  readonly trailerNames: readonly string[]
  /** What the request announced, without chunks around it; undefined when it did not. */
  readonly sizeBytes: number | undefined
}

/** One AWS service behind the listener, named by its endpoint prefix. `load` runs on its first call. */
export interface ServiceBinding {
  readonly name: string
  /** The protocol of its clients, and the words of its errors. */
  readonly protocol: Protocol
  /** Further protocols that clients of it speak: CloudWatch's speak three. */
  readonly also?: readonly Protocol[]
  /** API version the clients send ("2016-11-15"). */
  readonly version: string
  /** A URI without characters that XML would escape; the protocols with XML need it. */
  readonly xmlNamespace?: string
  /** What stands before the operation's name in X-Amz-Target ("AmazonSSM"), and in the path of RPC CBOR. */
  readonly target?: string
  load(): Promise<LoadedService>
}

export interface LoadedService {
  /** Operation name -> schema tuple of the SDK (kind 9), for all operations that AWS has. */
  readonly schemas: Readonly<Record<string, unknown>>
  /** False for an operation that has no handler: its parameters are not looked at, `dispatch` refuses it by name. */
  handles?(operation: string): boolean
  /** Whether an answer of this operation may be given again to the same caller while `revision` has not moved. */
  isPure?(operation: string): boolean
  /** Runs one call. Throws `Fault`. An operation without a handler throws UnsupportedOperation naming it. */
  dispatch(operation: string, input: object, info: RequestInfo): Promise<object>
}

export interface Secret {
  readonly secretAccessKey: string
  readonly caller: Caller
  readonly active: boolean
}

/** Must take the same time whether or not the key exists, as far as it can. */
export type SecretSource = (accessKeyId: string) => Promise<Secret | undefined>

export interface Limits {
  readonly bodyBytes: number
  readonly headerBytes: number
  /** Depth of a parameter's name: "A.1.B" is 3. */
  readonly depth: number
  readonly members: number
  readonly inFlight: number
  readonly requestMs: number
}
