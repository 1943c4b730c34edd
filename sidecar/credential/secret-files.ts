/**
 * Owns values that stand in files of their own, and how it is noticed that they changed.
 * Invariant: values of several files are of one moment; a problem names the file, and nothing of what stands in it.
 */
import fs from 'node:fs/promises';

/** What a value must be like, beside what holds for all: not empty, UTF-8, no control characters, not too long. */
export interface SecretFile {
  path: string;
  /** What is wrong with the value, to be read after "the file P "; null when nothing is. */
  check?: (value: string) => string | null;
}

export type SecretValues =
  /** In the order of the files. `generation` changes when, and only when, one of the values does. */
  { ok: true; values: readonly string[]; generation: number } | { ok: false; problem: string };

export interface SecretFiles {
  /** The values as they were at most a second ago. Answers at once when they were looked at by then; never rejects. */
  read(): SecretValues | Promise<SecretValues>;
  /** Why the files could not be read when they were looked at last; null when they could. */
  readonly problem: string | null;
}

/** Files are looked at so often at most (ms). */
const LOOK_EVERY_MS = 1_000;
/** Values that were read are used for so long when their files can't be any more (ms): some programs empty a file before they fill it. */
const KEEP_MS = 5_000;
const MOST_BYTES = 8 * 1024;
const CONSISTENT_TRIES = 5;

/** The message is read after "the file P ". */
class Unusable extends Error {}

export function createSecretFiles(files: readonly SecretFile[], nowMs: () => number): SecretFiles {
  let held: (SecretValues & { ok: true }) | null = null;
  /** Of the values in `held`; null when they must be read anew. */
  let facts: string | null = null;
  let goodMs = 0;
  let lookedMs = Number.NEGATIVE_INFINITY;
  let answer: SecretValues = { ok: false, problem: '' };
  let problem: string | null = null;
  let looking: Promise<SecretValues> | null = null;

  async function look(): Promise<SecretValues> {
    try {
      const found = await readAll(files, facts);
      facts = found.facts;
      const { values } = found;
      if (values?.some((value, index) => value !== held?.values[index])) {
        held = { ok: true, values, generation: (held?.generation ?? 0) + 1 };
      }
      goodMs = nowMs();
      problem = null;
    } catch (error) {
      problem = error instanceof Unusable ? error.message : 'the files of the credential could not be read';
      // Whatever stands there next is read, even if it looks like what was there.
      facts = null;
    }
    lookedMs = nowMs();
    const kept = problem === null || lookedMs - goodMs < KEEP_MS ? held : null;
    answer = kept ?? { ok: false, problem: problem ?? '' };
    looking = null;
    return answer;
  }

  return {
    read() {
      if (nowMs() - lookedMs < LOOK_EVERY_MS) return answer;
      looking ??= look();
      return looking;
    },
    get problem() {
      return problem;
    },
  };
}

/** All values between two looks that found no change. @param known what the looks found last; `values` is null when nothing changed */
async function readAll(
  files: readonly SecretFile[],
  known: string | null,
): Promise<{ facts: string; values: string[] | null }> {
  const look = async (): Promise<string> => (await Promise.all(files.map(fingerprint))).join(';');
  for (let tries = 0; tries < CONSISTENT_TRIES; tries += 1) {
    const facts = await look();
    if (facts === known) return { facts, values: null };
    const values = await Promise.all(files.map(readValue));
    if ((await look()) === facts) return { facts, values };
  }
  const paths = files.map(({ path }) => path).join(', ');
  throw new Unusable(`${paths} never stayed the same for as long as reading takes`);
}

/** What changes when a file is written or, as in a mounted Secret, a symbolic link above it is exchanged. */
async function fingerprint({ path }: SecretFile): Promise<string> {
  try {
    const found = await fs.stat(path, { bigint: true });
    // Opening a pipe would wait for its other end.
    if (!found.isFile()) throw new Unusable(`${path} is no regular file; name the file that holds the value`);
    const { dev, ino, size, mtimeNs, ctimeNs } = found;
    return [dev, ino, size, mtimeNs, ctimeNs].join();
  } catch (error) {
    throw asUnusable(path, error);
  }
}

async function readValue({ path, check }: SecretFile): Promise<string> {
  const refuse = (what: string): never => {
    throw new Unusable(`the file ${path} ${what}`);
  };
  const value = decode(await readBytes(path), refuse).replace(/\r?\n$/, '');
  if (value === '') return refuse('is empty; write the value into it');
  if (/\p{Cc}/u.test(value)) {
    return refuse(
      'holds a line break or another control character within the value; write one value alone into it',
    );
  }
  const wrong = check?.(value) ?? null;
  return wrong === null ? value : refuse(wrong);
}

async function readBytes(path: string): Promise<Buffer> {
  try {
    await using file = await fs.open(path);
    const bytes = Buffer.alloc(MOST_BYTES + 1);
    const { bytesRead } = await file.read(bytes, 0, bytes.length, 0);
    return bytes.subarray(0, bytesRead);
  } catch (error) {
    throw asUnusable(path, error);
  }
}

function decode(bytes: Buffer, refuse: (what: string) => never): string {
  if (bytes.length > MOST_BYTES)
    return refuse(`is longer than ${MOST_BYTES} bytes; it must hold one value alone`);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return refuse('is not UTF-8; write the value as text');
  }
}

const MEANINGS: Record<string, string> = {
  ENOENT: 'is not there; create it, or correct the path in the configuration',
  EACCES: 'may not be read by this process; correct its permissions',
};

function asUnusable(path: string, error: unknown): Unusable {
  if (error instanceof Unusable) return error;
  const code = (error as NodeJS.ErrnoException).code ?? 'no reason was given';
  return new Unusable(`the file ${path} ${MEANINGS[code] ?? `can't be read (${code})`}`);
}
