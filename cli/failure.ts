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

export const EXIT = { ok: 0, no: 1, failed: 2 } as const;

/** The message of any error, with its hint where it carries one, and never a stack. */
export function describeFailure(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if ('code' in error && (error.code === 'EADDRINUSE' || error.code === 'EACCES') && 'port' in error) {
    const at = `${'address' in error ? String(error.address) : ''}:${String(error.port)}`;
    const why = error.code === 'EADDRINUSE' ? 'another process listens there' : 'not permitted';
    return `Can't listen on ${at}: ${why}. Give another place: --listen HOST:PORT, or status.listen in the file.`;
  }
  const hint =
    'hint' in error && typeof error.hint === 'string' && error.hint !== '' ? `\n${error.hint}` : '';
  return printableText(error.message + hint);
}
