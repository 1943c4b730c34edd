/**
 * Owns the part of docs/cli.md that the command line itself writes: each command's `--help`.
 * Invariant: the prose around it is left as it is.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { createProgram } from '../cli/program.ts';

const page = path.join(import.meta.dirname, '../docs/cli.md');

/** The page with the help texts of today in its blocks, which a comment names: `help: verify`. */
export function cliPage(): string {
  const program = createProgram();
  const block = /(<!-- help: ([a-z-]+) -->\n)[^]*?(<!-- end of help -->)/g;
  return readFileSync(page, 'utf8').replace(block, (_all, begin: string, name: string, end: string) => {
    const command = [program, ...program.commands].find((one) => one.name() === name);
    if (command === undefined)
      throw new Error(`docs/cli.md asks for the help of ${name}, which is no command`);
    return `${begin}\`\`\`\n${command.helpInformation()}\`\`\`\n${end}`;
  });
}
