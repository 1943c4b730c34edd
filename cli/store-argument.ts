/**
 * Owns what STORE means on the command line: a directory, or a bucket that is reached as the `--s3-*` flags say.
 * Invariant: a mistyped path, bucket or prefix is an error, never an empty recording that verifies.
 */
import fs from 'node:fs/promises';
import path from 'node:path';
import { FORMAT_VERSION, formatVersionOf, SEGMENTS_PREFIX } from '@mcp-recorder/recording/format/keys';
import { createPatientStore } from '@mcp-recorder/recording/read/patient-store';
import { createDirectoryStore } from '@mcp-recorder/recording/store/directory-store';
import { type ObjectStore, StoreError } from '@mcp-recorder/recording/store/object-store';
import { StoreConfigurationError } from '@mcp-recorder/recording/store/store-configuration';
import { LOCATION_EXPECTED, quoteGiven, splitS3Location } from '@mcp-recorder/recording/store/s3-location';
import type { Command } from 'commander';
import { CommandFailure } from './failure.ts';
import { printableLine } from './printable.ts';
import { type Asked, type Reading } from './audit/reading-log.ts';
import { withReadingLog } from './audit/with-reading-log.ts';
import { addS3Options, givenS3Flags, readS3Options, type S3Flags } from './s3-options.ts';

/** Flags of every command that reads a store. */
export interface ReadingFlags extends S3Flags {
  audit?: string;
}

/** Adds the argument `<store>`; what reads it takes the flags of `addReadingOptions` too. */
export function addStoreArgument(command: Command): Command {
  return command.argument('<store>', 'the recording: a directory, or s3://BUCKET/PREFIX');
}

/** Adds the flags that say how a store is reached, and where it is logged that it was read. */
export function addReadingOptions(command: Command): Command {
  return addS3Options(command).option(
    '--audit <store>',
    'log who reads what in this store: a directory, or s3://BUCKET/PREFIX',
  );
}

/** Of all the options of a command, those of `addReadingOptions`. */
export function readingFlagsOf(options: ReadingFlags): ReadingFlags {
  const names = new Set<string>([
    'audit',
    's3Endpoint',
    's3Region',
    's3PathStyle',
    's3Ca',
  ] satisfies (keyof ReadingFlags)[]);
  return Object.fromEntries(Object.entries(options).filter(([name]) => names.has(name)));
}

export interface StoreOptions {
  /** What is asked for, as the log of readers says it. */
  asked: Asked;
  /** The caller itself says so when nothing is there. */
  mayBeEmpty?: boolean;
  /** Nothing need be recorded yet. */
  mayBegin?: boolean;
}

/**
 * Opens a store for reading and works on it; that it was read is logged where the reader or the store wants it.
 * @throws CommandFailure when there is no recording, or the store can't be read, or the reading can't be logged
 */
export async function withStore<T>(
  argument: string,
  flags: ReadingFlags,
  use: (store: ObjectStore, reading: Reading) => Promise<T>,
  { asked, mayBeEmpty = false, mayBegin = false }: StoreOptions,
): Promise<T> {
  const { audit, ...s3Flags } = flags;
  try {
    const store = await openStore(argument, s3Flags, { mayBeEmpty, mayBegin });
    const newer = await findNewerVersion(store);
    if (newer !== null) {
      const said = `${store.location} also holds what is recorded in format version ${newer}; it is not read: that takes a newer mcp-recorder.`;
      process.stderr.write(`mcp-recorder: ${printableLine(said)}\n`);
    }
    const open = (location: string): Promise<ObjectStore> => openForLog(location, s3Flags);
    return await withReadingLog({ store, asked, audit: audit ?? null, open }, (reading) =>
      use(store, reading),
    );
  } catch (error) {
    if (error instanceof StoreConfigurationError) throw new CommandFailure(error.message);
    // The store's own message tells the object and the reason; which store it was only the command knows.
    if (!(error instanceof StoreError)) throw error;
    throw new CommandFailure(`Can't read ${argument}: ${error.message}\n${error.hint}`);
  }
}

/** A store that takes the log of readers; nothing need be in it. */
async function openForLog(argument: string, flags: S3Flags): Promise<ObjectStore> {
  const location = splitS3Location(argument);
  if (location === null) {
    if (/^[a-z][a-z0-9+.-]*:\/\//i.test(argument)) {
      throw new CommandFailure(
        `The log of readers can't be in ${quoteGiven(argument)}: give a directory or ${LOCATION_EXPECTED}.`,
      );
    }
    return createDirectoryStore(path.resolve(argument));
  }
  const { createS3Store } = await import('@mcp-recorder/recording/store/s3-store');
  return createS3Store(readS3Options(location, flags));
}

async function openStore(
  argument: string,
  flags: S3Flags,
  { mayBeEmpty, mayBegin }: { mayBeEmpty: boolean; mayBegin: boolean },
): Promise<ObjectStore> {
  const location = splitS3Location(argument);
  if (location !== null) {
    const options = readS3Options(location, flags);
    // The SDK is loaded only by those who need it: it takes as long to load as all the rest.
    const { createS3Store } = await import('@mcp-recorder/recording/store/s3-store');
    const store = createPatientStore(createS3Store(options));
    if (!mayBeEmpty && !mayBegin) await requireSegment(store);
    return store;
  }
  const given = givenS3Flags(flags);
  if (given.length > 0) {
    throw new CommandFailure(
      `${given.join(', ')} needs a store ${LOCATION_EXPECTED}; found ${quoteGiven(argument)}.`,
    );
  }
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(argument)?.[1];
  if (scheme !== undefined) {
    throw new CommandFailure(
      `${scheme}:// is not known. Give a directory or ${LOCATION_EXPECTED}; most object stores speak S3, and --s3-endpoint names them.`,
    );
  }
  return await openDirectory(path.resolve(argument), mayBegin);
}

async function openDirectory(root: string, mayBegin: boolean): Promise<ObjectStore> {
  // Where nothing is recorded yet there is the directory, if its name is right.
  const segments = mayBegin ? root : path.join(root, SEGMENTS_PREFIX);
  try {
    await fs.access(segments);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== 'ENOENT' && code !== 'ENOTDIR') throw new CommandFailure(`Can't read ${segments}: ${code}.`);
    if (!mayBegin) await refuseNewerVersion(createDirectoryStore(root));
    const why = mayBegin ? 'there is no such directory' : `there is no ${SEGMENTS_PREFIX} in it`;
    throw new CommandFailure(`No recording in ${root}: ${why}.`);
  }
  return createDirectoryStore(root);
}

/** A bucket has no directories: only an object shows that a prefix was not mistyped. */
async function requireSegment(store: ObjectStore): Promise<void> {
  for await (const _first of store.list(SEGMENTS_PREFIX)) return;
  await refuseNewerVersion(store);
  throw new CommandFailure(
    `No recording in ${store.location}: no object there begins with ${SEGMENTS_PREFIX}. Check bucket and prefix.`,
  );
}

/** @throws CommandFailure when all that is there is of a later version of the format */
async function refuseNewerVersion(store: ObjectStore): Promise<void> {
  const newer = await findNewerVersion(store);
  if (newer === null) return;
  throw new CommandFailure(
    `What is recorded in ${store.location} is of format version ${newer}, and this mcp-recorder reads version ${FORMAT_VERSION}: use a newer one.`,
  );
}

/** The later version of the format in which something is recorded there; null: none is known of. */
async function findNewerVersion(store: ObjectStore): Promise<number | null> {
  try {
    for await (const { key } of store.list('v', { startAfter: `v${FORMAT_VERSION}~` })) {
      const version = formatVersionOf(key);
      return version !== null && version > FORMAT_VERSION ? version : null;
    }
  } catch (error) {
    // Rights to what this version reads need not reach so far; a store that can't be read says so where it is read.
    if (!(error instanceof StoreError)) throw error;
  }
  return null;
}
