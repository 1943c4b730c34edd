/**
 * Owns `mcp-recorder verify-proof`: checks proofs of exchanges without the store that they came from: one, or one a line.
 * Exit codes: 0 all hold; 1 one does not; 2 they could not be read.
 */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { verifyBundle } from '@mcp-recorder/recording/proof/bundle';
import { parsePublicKey } from '@mcp-recorder/recording/proof/note';
import { Command } from 'commander';
import { CommandFailure, EXIT } from './failure.ts';
import { printableLine } from './printable.ts';

export function verifyProofCommand(): Command {
  return new Command('verify-proof')
    .summary('check proofs of exchanges without the recording')
    .description(
      'Checks the proof of one exchange, which "mcp-recorder verify --proof" wrote, or of many, from "mcp-recorder export --proof", without the recording.\n' +
        'Exit code 0: they hold; 1: one does not; 2: they could not be read.',
    )
    .argument('<file>', 'the proof, or proofs, one a line')
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
      let held = 0;
      let all = 0;
      for await (const proof of readProofs(file)) {
        const { ok, findings, statements } = verifyBundle(proof, key);
        const text = [
          ...(all > 0 ? [''] : []),
          ...statements.map((statement) => `- ${statement}`),
          ...findings.map(({ code, message }) => `FOUND ${code}: ${message}`),
          ok ? 'The proof holds.' : 'The proof DOES NOT HOLD.',
        ];
        process.stdout.write(`${text.map(printableLine).join('\n')}\n`);
        all += 1;
        if (ok) held += 1;
      }
      if (all === 0) throw new CommandFailure(`Can't read the proof ${file}: it is empty.`);
      if (all > 1) process.stdout.write(`\n${held} of ${all} proofs hold.\n`);
      if (held < all) process.exitCode = EXIT.no;
    });
}

/** The proofs in a file, one a line. @throws CommandFailure */
async function* readProofs(file: string): AsyncIterable<unknown> {
  try {
    const lines = createInterface({ input: createReadStream(file), crlfDelay: Number.POSITIVE_INFINITY });
    for await (const line of lines) if (line.trim() !== '') yield JSON.parse(line);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new CommandFailure(`Can't read the proof ${file}: ${why}`);
  }
}
