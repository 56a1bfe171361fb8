import * as sdk from "@aws-sdk/client-s3"
import { Sha256 } from "@smithy/core/checksum"
import { SignatureV4 } from "@smithy/signature-v4"
import { mkdir, readFile, writeFile } from "node:fs/promises"
import { dirname, join } from "node:path"
import type { Place, Tool } from "./tool.ts"

const partBytes = 5 * 2 ** 20

/** The JavaScript SDK v3. What is larger than a part is uploaded in parts, as its upload manager does. */
export function sdkS3({ daemon, folder }: Place, names: readonly string[]): Tool {
  const { endpoint, credentials } = daemon
  const s3 = new sdk.S3Client({ endpoint, credentials, region: "us-east-1", forcePathStyle: true, maxAttempts: 1 })
  const keys = async (Bucket: string) =>
    ((await s3.send(new sdk.ListObjectsV2Command({ Bucket }))).Contents ?? []).map(({ Key = "" }) => Key)
  const put = async (Bucket: string, Key: string): Promise<void> => {
    const Body = await readFile(join(folder, "from", Key))
    if (Body.length <= partBytes) return void (await s3.send(new sdk.PutObjectCommand({ Bucket, Key, Body })))
    const { UploadId } = await s3.send(new sdk.CreateMultipartUploadCommand({ Bucket, Key }))
    const Parts: sdk.CompletedPart[] = []
    for (let at = 0; at < Body.length; at += partBytes) {
      const part = { Bucket, Key, UploadId, PartNumber: Parts.length + 1, Body: Body.subarray(at, at + partBytes) }
      const { ETag, ChecksumCRC32 } = await s3.send(new sdk.UploadPartCommand(part))
      Parts.push({ ETag, ChecksumCRC32, PartNumber: part.PartNumber })
    }
    await s3.send(new sdk.CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: { Parts } }))
  }
  return {
    makeBucket: (Bucket) => s3.send(new sdk.CreateBucketCommand({ Bucket })),
    upload: (bucket) => Promise.all(names.map((name) => put(bucket, name))),
    async download(Bucket, to) {
      for (const Key of await keys(Bucket)) {
        const { Body } = await s3.send(new sdk.GetObjectCommand({ Bucket, Key }))
        await mkdir(dirname(join(to, Key)), { recursive: true })
        await writeFile(join(to, Key), (await Body?.transformToByteArray()) ?? "")
      }
    },
    copy: (Bucket, from, Key) =>
      s3.send(new sdk.CopyObjectCommand({ Bucket, Key, CopySource: encodeURI(`${Bucket}/${from}`) })),
    remove: (Bucket, Key) => s3.send(new sdk.DeleteObjectCommand({ Bucket, Key })),
    list: async (bucket) => (await keys(bucket)).toSorted(),
    presigned: (bucket, key) => presign(endpoint, credentials, `/${bucket}/${key}`),
    missing: (Bucket) => s3.send(new sdk.GetObjectCommand({ Bucket, Key: "none" })),
    async removeBucket(Bucket) {
      const Objects = (await keys(Bucket)).map((Key) => ({ Key }))
      await s3.send(new sdk.DeleteObjectsCommand({ Bucket, Delete: { Objects } }))
      await s3.send(new sdk.DeleteBucketCommand({ Bucket }))
    },
    close: async () => s3.destroy(),
  }
}

/** As its presigner does it, which is a package of its own. */
async function presign(endpoint: string, credentials: Place["daemon"]["credentials"], path: string): Promise<string> {
  const { hostname, host, port } = new URL(endpoint)
  const signer = new SignatureV4({
    service: "s3",
    region: "us-east-1",
    sha256: Sha256,
    credentials,
    uriEscapePath: false,
    applyChecksum: false,
  })
  const headers = { host, "x-amz-content-sha256": "UNSIGNED-PAYLOAD" }
  const asked = { method: "GET", protocol: "http:", hostname, port: Number(port), path: encodeURI(path), headers }
  const { query = {} } = await signer.presign({ ...asked, query: {} }, { expiresIn: 600 })
  const text = new URLSearchParams(query as Record<string, string>).toString().replaceAll("+", "%20")
  return `${endpoint}${asked.path}?${text}`
}
