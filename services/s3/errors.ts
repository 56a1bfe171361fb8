/** S3's errors as rows. Codes, statuses and wording follow "Error responses" of the API reference. */
import { commonErrors, defineErrors } from "#cloud/errors.ts"

export const errors = {
  ...commonErrors,
  AccessDenied: [403, "Access Denied"],
  BadDigest: [400, "The {what} you specified did not match what we received."],
  BadRequest: [400, "{detail}"],
  BucketAlreadyExists: [
    409,
    "The requested bucket name is not available. The bucket namespace is shared by all users of the system. Please select a different name and try again.",
  ],
  BucketAlreadyOwnedByYou: [409, "Your previous request to create the named bucket succeeded and you already own it."],
  BucketNotEmpty: [409, "The bucket you tried to delete is not empty"],
  EntityTooLarge: [400, "Your proposed upload exceeds the maximum allowed size"],
  EntityTooSmall: [400, "Your proposed upload is smaller than the minimum allowed size"],
  IllegalLocationConstraintException: [
    400,
    "The {location} location constraint is incompatible for the region specific endpoint this request was sent to.",
  ],
  IncompleteBody: [400, "You did not provide the number of bytes specified by the Content-Length HTTP header"],
  InvalidArgument: [400, "{detail}"],
  InvalidBucketName: [400, "The specified bucket is not valid."],
  InvalidDigest: [400, "The Content-MD5 you specified was invalid."],
  InvalidLocationConstraint: [400, "The specified location-constraint is not valid"],
  InvalidPart: [
    400,
    "One or more of the specified parts could not be found. The part may not have been uploaded, or the specified entity tag may not match the part's entity tag.",
  ],
  InvalidPartOrder: [400, "The list of parts was not in ascending order. Parts must be ordered by part number."],
  InvalidRange: [416, "The requested range is not satisfiable"],
  InvalidRequest: [400, "{detail}"],
  InvalidStorageClass: [400, "The storage class you specified is not valid"],
  InvalidTag: [400, "{detail}"],
  KeyTooLongError: [400, "Your key is too long"],
  MalformedXML: [400, "The XML you provided was not well-formed or did not validate against our published schema"],
  MalformedTrailerError: [
    400,
    "The request contained trailing data that was not well-formed or did not conform to our published schema.",
  ],
  MetadataTooLarge: [400, "Your metadata headers exceed the maximum allowed metadata size"],
  MissingContentLength: [411, "You must provide the Content-Length HTTP header."],
  NoSuchBucket: [404, "The specified bucket does not exist"],
  NoSuchKey: [404, "The specified key does not exist."],
  NoSuchTagSet: [404, "The TagSet does not exist"],
  NoSuchUpload: [
    404,
    "The specified multipart upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.",
  ],
  NotImplemented: [
    501,
    "The operation {operation} is not done in this version of Fractus; docs/reference/coverage.md lists what is.",
  ],
  NotModified: [304, "Not Modified"],
  OperationAborted: [
    409,
    "A conflicting conditional operation is currently in progress against this resource. Please try again.",
  ],
  PreconditionFailed: [412, "At least one of the pre-conditions you specified did not hold"],
  RequestHeaderSectionTooLarge: [
    400,
    "Your request header and metadata sizes exceed the maximum allowed request header section size.",
  ],
  TooManyBuckets: [400, "You have attempted to create more buckets than allowed"],
} as const

export const raise = defineErrors(errors)
