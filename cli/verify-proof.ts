/**
 * Owns `mcp-recorder verify-proof`: checks the proof of one exchange without the store that it came from.
 * Exit codes: 0 the proof holds; 1 it does not; 2 it could not be read.
 */
import fs from 'node:fs/promises';
import { verifyBundle } from '@mcp-recorder/recording/proof/bundle';
import { parsePublicKey } from '@mcp-recorder/recording/proof/note';
import { Command } from 'commander';
import { CommandFailure, EXIT } from './failure.ts';
import { printableLine } from './printable.ts';

export function verifyProofCommand(): Command {
  return new Command('verify-proof')
    .summary('check the proof of one exchange without the recording')
    .description(
      'Checks the proof of one exchange, which "mcp-recorder verify --proof" wrote, without the recording.\n' +
        'Exit code 0: the proof holds; 1: it does not; 2: it could not be read.',
    )
    .argument('<file>', 'the proof')
    .option(
      '--key <key>',
      'public key that must have sealed it (ed25519:...); without it, whose proof it is stays open',
    )
    .action(async (file: string, { key }: { key?: string }) => {
      if (key !== undefined && parsePublicKey(key) === null) {
        throw new CommandFailure(
          '--key needs "ed25519:" and 32 bytes in base64, as "public_key" in an "open" line.',
        );
      }
      const { ok, findings, statements } = verifyBundle(await readProof(file), key);
      const text = [
        ...statements.map((statement) => `- ${statement}`),
        ...findings.map(({ code, message }) => `FOUND ${code}: ${message}`),
        ok ? 'The proof holds.' : 'The proof DOES NOT HOLD.',
      ];
      process.stdout.write(`${text.map(printableLine).join('\n')}\n`);
      if (!ok) process.exitCode = EXIT.no;
    });
}

async function readProof(file: string): Promise<unknown> {
  try {
    return JSON.parse(await fs.readFile(file, 'utf8'));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new CommandFailure(`Can't read the proof ${file}: ${why}`);
  }
}
