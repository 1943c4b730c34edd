/**
 * Owns the translation of a file system's errors into the store's: one code and one hint for each cause.
 * Invariant: every error that leaves the directory store is a StoreError whose hint says what a person can do.
 */
import { StoreError, type StoreErrorCode } from './object-store.ts';

interface Meaning {
  code: StoreErrorCode;
  hint: string;
}

const NOT_FOUND: Meaning = {
  code: 'not_found',
  hint: 'Nothing is there. Check the path of the store; a directory may have been removed meanwhile.',
};
const DENIED: Meaning = {
  code: 'denied',
  hint: 'Give the recorder write access to the store directory (owner, mode, read-only mount), or the reader read access.',
};
const FULL: Meaning = {
  code: 'full',
  hint: 'Free space or inodes on the store file system, or raise its quota. Uploading goes on by itself.',
};
const TYPE_CLASH: Meaning = {
  code: 'invalid',
  hint: 'A file stands where the key needs a directory, or the other way round. Move it out of the store directory.',
};
const UNREACHABLE: Meaning = {
  code: 'unreachable',
  hint: 'The file system of the store does not answer. Check its mount and the server behind it.',
};
const MEANINGS: Readonly<Record<string, Meaning>> = {
  ENOENT: NOT_FOUND,
  EACCES: DENIED,
  EPERM: {
    code: 'denied',
    hint: 'The file system refused. A store needs one with hard links, and files that the recorder may change.',
  },
  EROFS: DENIED,
  ENOSPC: FULL,
  EDQUOT: FULL,
  ENOTDIR: TYPE_CLASH,
  EISDIR: TYPE_CLASH,
  EINVAL: TYPE_CLASH,
  ELOOP: TYPE_CLASH,
  ENAMETOOLONG: {
    code: 'invalid',
    hint: 'The path is too long for this file system. Use a shorter store path.',
  },
  ESTALE: UNREACHABLE,
  ENOTCONN: UNREACHABLE,
  EHOSTDOWN: UNREACHABLE,
  ETIMEDOUT: UNREACHABLE,
  EMFILE: { code: 'failed', hint: 'Too many open files: raise the limit (ulimit -n) of this process.' },
  EXDEV: { code: 'failed', hint: 'The store must be one file system that supports hard links.' },
  ENOTSUP: { code: 'failed', hint: 'The store file system must support hard links and fsync.' },
};
const UNKNOWN: Meaning = {
  code: 'failed',
  hint: 'The disk or file system reported an error. Look at the kernel log; the recorder tries again.',
};

/** The file system's own code (`ENOSPC`), or null when the error is none of its. */
export function systemCode(error: unknown): string | null {
  const code = error instanceof Error && 'code' in error ? error.code : null;
  return typeof code === 'string' ? code : null;
}

/** Any error of a primitive as StoreError; one that is a StoreError already stays as it is. */
export function directoryFailure(
  operation: StoreError['operation'],
  key: string,
  error: unknown,
): StoreError {
  if (error instanceof StoreError) return error;
  const found = MEANINGS[systemCode(error) ?? ''] ?? UNKNOWN;
  // To a reader a directory, a link or a pipe under an object's name is no object.
  const { code, hint } = found === TYPE_CLASH && operation === 'get' ? NOT_FOUND : found;
  return new StoreError(code, operation, key, hint, error);
}
