/**
 * Owns configuration files of a test, in a directory that ends with it.
 */
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { ConfigurationError } from '../../sidecar/config/configuration-error.ts';
import type { ConfigurationFlags } from '../../sidecar/config/flags.ts';
import { loadConfiguration } from '../../sidecar/config/load.ts';
import type { Configuration } from '../../sidecar/config/schema.ts';

export interface ConfigurationFiles {
  readonly directory: string;
  write(yaml: string): Promise<string>;
  load(yaml: string, flags?: ConfigurationFlags): Promise<Configuration>;
  /** All that is wrong, as `<line>: <key>: <message>`. */
  faults(yaml: string, flags?: ConfigurationFlags): Promise<string[]>;
}

export function configurationFiles(): ConfigurationFiles {
  let directory = '';
  let count = 0;
  beforeAll(async () => {
    directory = await fs.mkdtemp(path.join(os.tmpdir(), 'mcp-recorder-config-'));
  });
  afterAll(() => fs.rm(directory, { recursive: true }));

  async function write(yaml: string): Promise<string> {
    count += 1;
    const file = path.join(directory, `${count}.yaml`);
    await fs.writeFile(file, yaml);
    return file;
  }
  const load = async (yaml: string, flags: ConfigurationFlags = {}) =>
    loadConfiguration({ file: await write(yaml), flags });
  return {
    get directory() {
      return directory;
    },
    write,
    load,
    async faults(yaml, flags) {
      const error: unknown = await load(yaml, flags).then(
        () => null,
        (cause: unknown) => cause,
      );
      if (error === null) return [];
      if (!(error instanceof ConfigurationError)) throw error;
      return error.problems.map(
        ({ path: key, line, message }) => `${line === null ? '' : `${line}: `}${key}: ${message}`,
      );
    },
  };
}
