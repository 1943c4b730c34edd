/**
 * Owns how damage is told by commands that read on: on standard error, so that what can be read stays usable.
 */
import type { Unreadable } from '@mcp-recorder/recording/read/store-reader';
import { printableLine } from './printable.ts';

/** Says what could not be read, and that `verify` knows more. */
export function reportUnreadable({ message }: Unreadable): void {
  process.stderr.write(
    `mcp-recorder: ${printableLine(message)} "mcp-recorder verify" says what that means.\n`,
  );
}
