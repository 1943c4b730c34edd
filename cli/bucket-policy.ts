/**
 * Owns `mcp-recorder bucket-policy`: the rights that a recorder, an auditor and whoever removes old recordings need on a bucket.
 * Invariant: standard output is the policy and nothing else, ready to be piped; what it can't do stands on standard error.
 */
import {
  BUCKET_EXPECTED,
  isBucket,
  isStorePrefix,
  LOCATION_EXPECTED,
  PREFIX_EXPECTED,
  quoteGiven,
  splitS3Location,
} from '@mcp-recorder/recording/store/s3-location';
import { Command, Option } from 'commander';
import {
  accessPolicy,
  type AccessRequest,
  POLICY_STORES,
  policyNotes,
  type PolicyStore,
  type Role,
  ROLES,
} from './access-policy.ts';
import { CommandFailure } from './failure.ts';

interface BucketPolicyOptions {
  role: Role;
  for: PolicyStore;
  bucket?: string;
  prefix?: string;
  objectLock?: boolean;
  audit?: boolean;
  kmsKey?: string;
}

const KMS_KEY = /^arn:[a-z0-9-]+:kms:[a-z0-9-]+:\d{12}:key\/[\w-]+$/;

export function bucketPolicyCommand(): Command {
  return new Command('bucket-policy')
    .summary('print the least rights that a role needs on a bucket')
    .description(
      'Prints an identity policy (JSON) with the least rights that a role needs on a bucket. writer: a recorder, which ' +
        'puts objects and can do nothing else. reader: who lists, reads and verifies. purger: who deletes old recordings.',
    )
    .argument('[store]', 's3://BUCKET/PREFIX, instead of --bucket and --prefix')
    .addOption(new Option('--role <role>', 'whose rights').choices(ROLES).makeOptionMandatory())
    .addOption(new Option('--for <store>', 'which store').choices(POLICY_STORES).default('aws'))
    .option('--bucket <name>', 'the bucket')
    .option('--prefix <prefix>', 'the prefix of the store in it')
    .option('--object-lock', 'the recorder asks for a retention of each object (storage.s3.objectLock)')
    .option('--audit', 'the reader logs its readings in the store that it reads')
    .option('--kms-key <arn>', 'key of the KMS that encrypts the objects (storage.s3.encryption)')
    .action((store: string | undefined, options: BucketPolicyOptions) => {
      const request = readRequest(store, options);
      process.stdout.write(`${JSON.stringify(accessPolicy(request), null, 2)}\n`);
      for (const note of policyNotes(request)) process.stderr.write(`mcp-recorder: ${note}\n`);
    });
}

function readRequest(store: string | undefined, options: BucketPolicyOptions): AccessRequest {
  const { role, for: kind, objectLock = false, audit = false, kmsKey = null } = options;
  const { bucket, prefix } = readPlace(store, options);
  if (!isBucket(bucket)) {
    throw new CommandFailure(`The bucket ${quoteGiven(bucket, prefix)} can't be: needs ${BUCKET_EXPECTED}.`);
  }
  // A policy reads these as patterns and variables; a store with such a prefix would be given the rights of others.
  if (!isStorePrefix(prefix) || /[*?$]/.test(prefix)) {
    throw new CommandFailure(
      `The prefix ${quoteGiven(prefix)} can't be: needs ${PREFIX_EXPECTED}, without "*", "?" and "$".`,
    );
  }
  for (const [flag, given, says] of [
    ['--object-lock', objectLock, role !== 'reader'],
    ['--audit', audit, role === 'reader'],
    ['--kms-key', kmsKey !== null, role !== 'purger'],
  ] as const) {
    if (given && !says) throw new CommandFailure(`${flag} says nothing of a ${role}: leave it out.`);
  }
  if (kmsKey !== null && !KMS_KEY.test(kmsKey)) {
    throw new CommandFailure('--kms-key needs the ARN of a key: arn:aws:kms:REGION:ACCOUNT:key/ID.');
  }
  return { role, store: kind, bucket, prefix, objectLock, audit, kmsKey };
}

function readPlace(store: string | undefined, { bucket, prefix }: BucketPolicyOptions) {
  if (store !== undefined) {
    const location = splitS3Location(store);
    if (location === null)
      throw new CommandFailure(`The store ${quoteGiven(store)} is no bucket: needs ${LOCATION_EXPECTED}.`);
    if (bucket === undefined && prefix === undefined) return location;
    throw new CommandFailure(`Give ${LOCATION_EXPECTED}, or --bucket and --prefix, not both.`);
  }
  if (bucket === undefined) throw new CommandFailure(`Which bucket? Give --bucket, or ${LOCATION_EXPECTED}.`);
  return { bucket, prefix: prefix ?? '' };
}
