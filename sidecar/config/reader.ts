/**
 * Owns the reading of a delivered configuration: from standard input, as `ReaderInput`, to standard output, as `ReaderOutput`. Runs apart.
 */
import { text } from 'node:stream/consumers';
import { loadCheckedConfiguration } from './check-policy.ts';
import { ConfigurationError } from './configuration-error.ts';
import type { Configuration } from './schema.ts';

export interface ReaderInput {
  /** Where it was found: relative paths in it count from there. */
  file: string;
  /** What stands in it. */
  text: string;
}

export type ReaderOutput = { ok: true; configuration: Configuration } | { ok: false; reason: string };

async function read(input: ReaderInput): Promise<ReaderOutput> {
  try {
    return { ok: true, configuration: await loadCheckedConfiguration(input) };
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    return { ok: false, reason: error.message };
  }
}

process.stdout.write(JSON.stringify(await read(JSON.parse(await text(process.stdin)) as ReaderInput)));
