/**
 * Owns where an S3 store's credentials come from, and how changed ones are noticed without a restart.
 * Invariant: keys are held in memory only, and no error from here repeats one.
 */
import fs from 'node:fs/promises';
import { defaultProvider } from '@aws-sdk/credential-provider-node';
import type { S3StoreOptions } from './s3-options.ts';
import { CREDENTIALS_ERROR } from './s3-failure.ts';

interface Keys {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string;
  expiration?: Date;
}
type Source = (options?: Record<string, unknown>) => Promise<Keys>;
type KeyFiles = NonNullable<S3StoreOptions['credentialFiles']>;

export interface S3Credentials {
  /** For the SDK, which asks several times a request; `memoized` tells it to keep no copy of its own. */
  provide: Source & { memoized: true };
  /** Counts how often the source was made anew. */
  readonly generation: number;
  /** The store refused keys that were provided in this generation: the source is made anew, once for all that were refused. */
  renew(generation: number): void;
}

/** Files are looked at so often at most: the SDK asks several times for each request. */
const LOOK_EVERY_MS = 1_000;
const CONSISTENT_TRIES = 5;

function unavailable(why: string): Error {
  return Object.assign(new Error(why), { name: CREDENTIALS_ERROR });
}

/** What changes when a file is written or, as in a mounted Secret, a symbolic link above it is exchanged. */
async function fingerprint(path: string): Promise<string> {
  const { dev, ino, size, mtimeMs, ctimeMs } = await fs.stat(path);
  return [dev, ino, size, mtimeMs, ctimeMs].join();
}

/** A file that may be missing: static keys have no session token, and whoever mounts a Secret does not know which kind it holds. */
function ifThere<T>(found: Promise<T>): Promise<T | undefined> {
  return found.catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
}

async function readValue(path: string): Promise<string> {
  const value = (await fs.readFile(path, 'utf8')).trim();
  if (value === '') throw unavailable(`the file ${path} is empty`);
  return value;
}

/** Static keys from files. All are read between two looks that found no change, so that an id never meets another's secret. */
function fromFiles(files: KeyFiles): Source {
  const paths = [files.accessKeyId, files.secretAccessKey];
  const { sessionToken: tokenPath } = files;
  const all = async (): Promise<string> => {
    const facts = paths.map(fingerprint);
    const token = tokenPath === null ? undefined : ifThere(fingerprint(tokenPath));
    return (await Promise.all([...facts, token])).join(';');
  };
  let keys: Keys | null = null;
  let known = '';
  let lookedMs = 0;

  async function read(): Promise<Keys> {
    for (let tries = 0; tries < CONSISTENT_TRIES; tries += 1) {
      const before = await all();
      if (keys !== null && before === known) return keys;
      const [accessKeyId = '', secretAccessKey = ''] = await Promise.all(paths.map(readValue));
      const sessionToken = tokenPath === null ? undefined : await ifThere(readValue(tokenPath));
      if ((await all()) !== before) continue;
      known = before;
      keys = { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) };
      return keys;
    }
    throw unavailable(
      `the files ${paths.join(', ')} never stayed the same for as long as reading them takes`,
    );
  }

  return async () => {
    const nowMs = performance.now();
    if (keys !== null && nowMs - lookedMs < LOOK_EVERY_MS) return keys;
    const found = await read();
    lookedMs = nowMs;
    return found;
  };
}

/** The requests of the default chain (to a token service, say) go the way of the store's own: the SDK hands the client on. */
export function createS3Credentials(files: KeyFiles | null): S3Credentials {
  const make = (): Source =>
    files === null
      ? // Without `ignoreCache` the SDK reads the shared files once a process.
        defaultProvider({ ignoreCache: true })
      : fromFiles(files);
  let source: Source | null = null;
  let generation = 0;

  async function provide(options?: Record<string, unknown>): Promise<Keys> {
    try {
      source ??= make();
      return await source(options);
    } catch (error) {
      // An error of the token service would else be taken for one of the store.
      throw unavailable(error instanceof Error ? error.message : String(error));
    }
  }

  return {
    provide: Object.assign(provide, { memoized: true as const }),
    get generation() {
      return generation;
    },
    renew(refused) {
      if (refused !== generation) return;
      generation += 1;
      source = null;
    },
  };
}
