/**
 * Owns the key that session ids are hashed with, where no configuration brings one: made once beside the spool.
 * Invariant: the key is durable before it is used, readable by its owner only, and never leaves this file and memory.
 */
import { createHash, randomBytes } from 'node:crypto';
import path from 'node:path';
import type { SpoolFiles } from './spool/files.ts';

export interface SessionKey {
  /** Names the key in `open.session_key_id` without telling it. */
  id: string;
  key: Buffer;
}

const KEY_BYTES = 32;

/** Reads the key of this spool, or makes it. @throws Error when the file is damaged, with what to do */
export async function loadSessionKey(spoolDirectory: string, files: SpoolFiles): Promise<SessionKey> {
  const file = path.join(spoolDirectory, 'session.key');
  const names = await files.list(spoolDirectory);
  let key: Buffer;
  if (names.includes('session.key')) {
    key = await files.read(file);
    if (key.length !== KEY_BYTES) {
      throw new Error(
        `session key ${file} holds ${key.length} bytes, not ${KEY_BYTES}: restore it, or remove it to begin with a new key (sessions then get other names)`,
      );
    }
  } else {
    key = randomBytes(KEY_BYTES);
    await files.writeWhole(file, key);
  }
  return { id: `local-${createHash('sha256').update(key).digest('hex').slice(0, 8)}`, key };
}
