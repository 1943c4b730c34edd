/**
 * Owns `npm run check`: types, lint, format, dead code and generated files, side by side.
 * Invariant: every check runs, whatever the others say; one failure fails the whole.
 */
import { spawn } from 'node:child_process';

const CHECKS: Record<string, string[]> = {
  types: ['tsc', '-p', '.'],
  lint: ['oxlint', '--deny-warnings'],
  format: ['biome', 'format', '.'],
  'dead code': ['knip'],
  'generated files': ['node', 'scripts/generate.ts', '--check'],
};

function run(command: readonly string[]): Promise<{ passed: boolean; output: string }> {
  return new Promise((resolve) => {
    const [program = '', ...args] = command;
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    child.stdout.on('data', (bytes: Buffer) => {
      output += bytes.toString();
    });
    child.stderr.on('data', (bytes: Buffer) => {
      output += bytes.toString();
    });
    child.on('error', (error) => resolve({ passed: false, output: error.message }));
    child.on('close', (code) => resolve({ passed: code === 0, output }));
  });
}

const results = await Promise.all(
  Object.entries(CHECKS).map(async ([name, command]) => ({ name, ...(await run(command)) })),
);
for (const { name, passed, output } of results) {
  process.stdout.write(`${passed ? 'ok    ' : 'FAILED'} ${name}\n`);
  if (!passed) process.stdout.write(`${output.trim()}\n\n`);
}
process.exitCode = results.every(({ passed }) => passed) ? 0 : 1;
