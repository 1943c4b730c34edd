/**
 * Owns what tests of the credential share: a folder of files, a clock that they move, and all words that came out.
 */
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { CredentialConfiguration } from '../../sidecar/config/access.ts';
import { createCredential } from '../../sidecar/credential/create-credential.ts';
import type { CredentialAnswer, UpstreamCredential } from '../../sidecar/credential/credential.ts';

export interface Scene {
  folder: string;
  /** Writes a file; gives its path. */
  write(name: string, content: string | Uint8Array): Promise<string>;
  credential(configuration: CredentialConfiguration): UpstreamCredential;
  /** What a request gets now. @throws Error with the problem */
  value(credential: UpstreamCredential): Promise<string>;
  pass(ms: number): void;
  logs: string[];
  /** Every problem that was answered or stood in the logs. */
  words(): string;
  remove(): Promise<void>;
}

export async function createScene(): Promise<Scene> {
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), 'credential-'));
  let nowMs = 1_000;
  const logs: string[] = [];
  const problems: string[] = [];
  const log = (...entry: unknown[]): void =>
    void logs.push(entry.map((part) => JSON.stringify(part)).join(' '));
  return {
    folder,
    async write(name, content) {
      const file = path.join(folder, name);
      await fs.writeFile(file, content);
      return file;
    },
    credential: (configuration) =>
      createCredential(configuration, { log: { info: log, warn: log }, nowMs: () => nowMs }),
    async value(credential) {
      const answer: CredentialAnswer = await credential.current();
      if (credential.problem !== null) problems.push(credential.problem);
      if (answer.ok) return `${answer.name}: ${answer.value}`;
      problems.push(answer.problem);
      throw new Error(answer.problem);
    },
    pass(ms) {
      nowMs += ms;
    },
    logs,
    words: () => [...problems, ...logs].join('\n'),
    remove: () => fs.rm(folder, { recursive: true }),
  };
}
