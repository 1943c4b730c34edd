/**
 * Owns the section `storage` of the configuration: where the recording goes, and what an object store does with each object.
 * Invariant: no secret stands in the configuration: it names files that hold one, or leaves it to the default chain of AWS SDKs.
 */
import {
  BUCKET_EXPECTED,
  ENDPOINT_EXPECTED,
  isBucket,
  isRegion,
  isStorePrefix,
  parseEndpoint,
  PREFIX_EXPECTED,
  REGION_EXPECTED,
} from '@mcp-recorder/recording/store/s3-location';
import { z } from 'zod';
import { parseRetention, RETENTION_EXPECTED, RETENTION_PATTERN } from './quantity.ts';
import { section } from './section.ts';

const STORAGE_EXPECTED = 'exactly one of directory (a path) and s3 (a bucket)';
const LOCK_MODES = ['GOVERNANCE', 'COMPLIANCE'] as const;
const ENCRYPTIONS = ['SSE-S3', 'SSE-KMS'] as const;
const KEY_ID_EXPECTED = 'no keyId with SSE-S3: the store has that key. SSE-KMS takes one';
const CLASS_EXPECTED = 'a storage class in capitals, for example STANDARD_IA';
const KMS_KEY_EXPECTED = 'the id, ARN or alias of a key in the KMS';

const path = (what: string) => {
  const error = `the path of a ${what}`;
  return z
    .string({ error })
    .min(1, { error })
    .refine((given) => !given.includes('\0'), { error: 'a path without NUL characters' });
};

/** A path of the local file system, relative or not. */
export const directory = path('directory').refine((given) => !/^[a-z][a-z0-9+.-]*:\/\//i.test(given), {
  error: 'the path of a directory (an object store is given by s3, or by --store s3://BUCKET/PREFIX)',
});

const text = (accepts: (given: string) => boolean, error: string) =>
  z.string({ error }).refine(accepts, { error });

const endpoint = z.string({ error: ENDPOINT_EXPECTED }).transform((given, context) => {
  const origin = parseEndpoint(given);
  if (origin !== null) return origin;
  context.addIssue(ENDPOINT_EXPECTED);
  return z.NEVER;
});

const retainFor = z
  .string({ error: RETENTION_EXPECTED })
  .regex(RETENTION_PATTERN, { error: RETENTION_EXPECTED })
  .transform((given, context) => {
    const read = parseRetention(given);
    if (read.ok) return read.value;
    context.addIssue(read.expected);
    return z.NEVER;
  });

const s3 = section({
  bucket: text(isBucket, BUCKET_EXPECTED).describe('The bucket. It must exist.'),
  prefix: text(isStorePrefix, PREFIX_EXPECTED)
    .optional()
    .describe('All keys begin with it; path parts joined by single slashes.'),
  region: text(isRegion, REGION_EXPECTED)
    .optional()
    .describe('Region of the bucket. Default: from the environment, as AWS tools find it.'),
  endpoint: endpoint.optional().describe('URL of an S3-compatible store. Default: AWS.'),
  pathStyle: z
    .boolean({ error: 'true or false' })
    .prefault(false)
    .describe('The name of the bucket in the path, as most stores other than AWS want it.'),
  caFile: path('file')
    .optional()
    .describe('PEM file of certificate authorities that are trusted beside those of the system.'),
  credentialFiles: section({
    accessKeyId: path('file').describe('File with the id of the access key.'),
    secretAccessKey: path('file').describe('File with the secret access key.'),
    sessionToken: path('file').optional().describe('File with the session token of temporary credentials.'),
  })
    .optional()
    .describe(
      'Files with one value each, read again when they change. Default: as AWS tools find credentials.',
    ),
  encryption: section({
    type: z
      .enum(ENCRYPTIONS, { error: `one of ${ENCRYPTIONS.join(', ')}` })
      .describe('SSE-S3: keys of the store. SSE-KMS: a key of the KMS.'),
    keyId: text((given) => /^[\x21-\x7e]{1,2048}$/.test(given), KMS_KEY_EXPECTED)
      .optional()
      .describe('Key for SSE-KMS. Default: that of the bucket, or of the account.'),
  })
    .refine(({ type, keyId }) => type === 'SSE-KMS' || keyId === undefined, {
      error: KEY_ID_EXPECTED,
      path: ['keyId'],
    })
    .optional()
    .describe('Encryption of each object by the store. Default: as the bucket says.'),
  objectLock: section({
    mode: z
      .enum(LOCK_MODES, { error: `one of ${LOCK_MODES.join(', ')}` })
      .describe('GOVERNANCE: who has a special right may end it early. COMPLIANCE: nobody may.'),
    retainFor: retainFor.describe('How long no one may delete an object, from the moment it is stored.'),
  })
    .optional()
    .describe('Retention of each object; the bucket must have Object Lock. Default: as the bucket says.'),
  storageClass: text((given) => /^[A-Z0-9][A-Z0-9_-]{0,63}$/.test(given), CLASS_EXPECTED)
    .optional()
    .describe('Storage class of each object. Default: as the bucket says.'),
});

export const storageSection = section(
  {
    directory: directory.optional().describe('Where the recording goes. Relative paths: from this file.'),
    s3: s3.optional().describe('An S3-compatible object store where the recording goes.'),
  },
  STORAGE_EXPECTED,
)
  .refine((given) => (given.directory === undefined) !== (given.s3 === undefined), {
    error: STORAGE_EXPECTED,
  })
  // The JSON Schema can't see what a refinement wants.
  .meta({
    description: 'Where the recording goes: a directory or a bucket.',
    oneOf: [{ required: ['directory'] }, { required: ['s3'] }],
  });
