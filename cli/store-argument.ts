/**
 * Owns what STORE means on the command line.
 * Invariant: a mistyped path is an error, never an empty recording that verifies.
 */
import fs from 'node:fs/promises';
import path from 'node:path';
import { SEGMENTS_PREFIX } from '@mcp-recorder/recording/format/keys';
import { createDirectoryStore } from '@mcp-recorder/recording/store/directory-store';
import type { ObjectStore } from '@mcp-recorder/recording/store/object-store';
import { CommandFailure } from './failure.ts';

/**
 * Opens a store for reading.
 * @throws CommandFailure when there is no recording
 */
export async function openStore(argument: string): Promise<ObjectStore> {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(argument)?.[1];
  if (scheme !== undefined) {
    throw new CommandFailure(
      `${scheme}:// needs an adapter for that object store, which is not built into this version. Give a directory.`,
    );
  }
  const root = path.resolve(argument);
  const segments = path.join(root, SEGMENTS_PREFIX);
  try {
    await fs.access(segments);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== 'ENOENT' && code !== 'ENOTDIR') throw new CommandFailure(`Can't read ${segments}: ${code}.`);
    throw new CommandFailure(`No recording in ${root}: there is no ${SEGMENTS_PREFIX} in it.`);
  }
  return createDirectoryStore(root);
}
