/**
 * Owns the reading of a delivered configuration: from standard input, as `ReaderInput`, to standard output, as `ReaderOutput`. Runs apart.
 */
import { text } from 'node:stream/consumers';
import { ConfigurationError } from './configuration-error.ts';
import { loadConfiguration } from './load.ts';
import type { Configuration } from './schema.ts';

export interface ReaderInput {
  /** Where it was found: relative paths in it count from there. */
  file: string;
  /** What stands in it. */
  text: string;
}

export type ReaderOutput = { ok: true; configuration: Configuration } | { ok: false; reason: string };

function read(input: ReaderInput): ReaderOutput {
  try {
    return { ok: true, configuration: loadConfiguration(input) };
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    return { ok: false, reason: error.message };
  }
}

process.stdout.write(JSON.stringify(read(JSON.parse(await text(process.stdin)) as ReaderInput)));
