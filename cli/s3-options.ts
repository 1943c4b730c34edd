/**
 * Owns the flags that say how an S3-compatible store is reached: the same ones on every command that takes a store.
 * Invariant: a flag that can't be used is told before anything is connected to.
 */
import path from 'node:path';
import {
  BUCKET_EXPECTED,
  ENDPOINT_EXPECTED,
  isBucket,
  isRegion,
  isStorePrefix,
  parseEndpoint,
  PREFIX_EXPECTED,
  quoteGiven,
  REGION_EXPECTED,
  type S3Location,
} from '@mcp-recorder/recording/store/s3-location';
import type { S3StoreOptions } from '@mcp-recorder/recording/store/s3-options';
import type { Command } from 'commander';
import { CommandFailure } from './failure.ts';

/** What the flags give, as commander names it; only a store `s3://...` takes them. */
export interface S3Flags {
  s3Endpoint?: string;
  s3Region?: string;
  s3PathStyle?: boolean;
  s3Ca?: string;
}

const FLAG_TEXTS: Record<keyof S3Flags, string> = {
  s3Endpoint: '--s3-endpoint',
  s3Region: '--s3-region',
  s3PathStyle: '--s3-path-style',
  s3Ca: '--s3-ca',
};

/** Adds the flags. Credentials have none: command lines are seen by everyone on the machine. */
export function addS3Options(command: Command): Command {
  return command
    .option(`${FLAG_TEXTS.s3Endpoint} <url>`, 'an S3-compatible store other than AWS')
    .option(`${FLAG_TEXTS.s3Region} <region>`, 'region of the bucket (default: as AWS tools find it)')
    .option(
      FLAG_TEXTS.s3PathStyle,
      'the name of the bucket in the path, as most stores other than AWS want it',
    )
    .option(`${FLAG_TEXTS.s3Ca} <file>`, 'certificate authorities (PEM) to trust beside those of the system');
}

/** The flags that were given, as they are written. */
export function givenS3Flags(flags: S3Flags): string[] {
  return Object.entries(FLAG_TEXTS)
    .filter(([flag]) => flags[flag as keyof S3Flags] !== undefined)
    .map(([, text]) => text);
}

/** How a command reads the store. @throws CommandFailure when a part can't be used */
export function readS3Options({ bucket, prefix }: S3Location, flags: S3Flags): S3StoreOptions {
  const { s3Endpoint, s3Region = null, s3PathStyle = false, s3Ca } = flags;
  const endpoint = s3Endpoint === undefined ? null : parseEndpoint(s3Endpoint);
  if (!isBucket(bucket)) throw unusable('s3://', bucket, BUCKET_EXPECTED, prefix);
  if (!isStorePrefix(prefix)) throw unusable(`s3://${bucket}/`, prefix, PREFIX_EXPECTED);
  if (s3Region !== null && !isRegion(s3Region)) throw unusable('--s3-region', s3Region, REGION_EXPECTED);
  if (s3Endpoint !== undefined && endpoint === null) {
    // What was given is not repeated: it may hold a password.
    throw new CommandFailure(`${FLAG_TEXTS.s3Endpoint} needs ${ENDPOINT_EXPECTED}.`);
  }
  return {
    bucket,
    prefix,
    region: s3Region,
    endpoint,
    pathStyle: s3PathStyle,
    caFile: s3Ca === undefined ? null : path.resolve(s3Ca),
    credentialFiles: null,
    encryption: null,
    objectLock: null,
    storageClass: null,
  };
}

function unusable(where: string, found: string, expected: string, near?: string): CommandFailure {
  return new CommandFailure(`${where}: found ${quoteGiven(found, near)}; needs ${expected}.`);
}

/** The flags that reach the same store, as a shell takes them; '' when none are needed. */
export function formatS3Flags({ endpoint, region, pathStyle, caFile }: S3StoreOptions): string {
  const flags = [
    ...(endpoint === null ? [] : [FLAG_TEXTS.s3Endpoint, endpoint]),
    ...(region === null ? [] : [FLAG_TEXTS.s3Region, region]),
    ...(pathStyle ? [FLAG_TEXTS.s3PathStyle] : []),
    ...(caFile === null ? [] : [FLAG_TEXTS.s3Ca, quote(caFile)]),
  ];
  return flags.map((word) => ` ${word}`).join('');
}

/** A word as a shell takes it. */
export function quote(word: string): string {
  return /^[\w./@:+,-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
