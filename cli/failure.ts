/**
 * Owns how a command fails: one message for the person at the terminal, and an exit code that scripts can rely on.
 * Invariant: 1 always means "read, and the answer is no"; whatever could not be done is 2.
 */
import { printableText } from './printable.ts';

/** The command could not do its work, for a reason that is said in full. */
export class CommandFailure extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'CommandFailure';
  }
}

/** `interrupted`: Ctrl-C, as shells say it; what was printed until then holds, and is not all. */
export const EXIT = { ok: 0, no: 1, failed: 2, interrupted: 130 } as const;

/** What the system's codes say to people; a code that is not here is given as it is. */
const REASONS: Record<string, string> = {
  EACCES: 'permission denied',
  EADDRINUSE: 'another process listens there',
  EADDRNOTAVAIL: 'this machine has no such address',
  EISDIR: 'it is a directory',
  EIO: 'the disk failed',
  ENOENT: 'there is no such file or directory',
  ENOSPC: 'the disk is full',
  ENOTDIR: 'a part of the path is no directory',
  ENOTFOUND: 'there is no such host',
  EROFS: 'the file system is read-only',
};

/** The message of any error, with its hint where it carries one, and never a stack. */
export function describeFailure(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code, syscall, path, address, hostname, port, hint }: SystemFailure = error;
  const why = REASONS[String(code)] ?? String(code);
  if (syscall === 'listen' || syscall === 'getaddrinfo') {
    const place = address ?? hostname ?? '';
    const at = port === undefined ? String(place) : `${String(place)}:${String(port)}`;
    return `Can't listen on ${at}: ${why}. Give another place: --listen HOST:PORT, or status.listen in the file.`;
  }
  if (syscall !== undefined && path !== undefined) return printableText(`Can't use ${String(path)}: ${why}.`);
  const advice = typeof hint === 'string' && hint !== '' ? `\n${hint}` : '';
  return printableText(error.message + advice);
}

/** What errors of the system carry, and `hint` of our own. */
interface SystemFailure extends Error {
  code?: unknown;
  syscall?: unknown;
  path?: unknown;
  address?: unknown;
  hostname?: unknown;
  port?: unknown;
  hint?: unknown;
}
