import fs from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { run } from './command.ts';
import { CALL, exchangeOf, recordIn } from './recorded.ts';

const page = await fs.readFile(path.join(import.meta.dirname, '../../docs/cli.md'), 'utf8');
const { stdout: overview } = await run('--help');
const commands = [...overview.matchAll(/^ {2}([a-z-]+) .*/gm)].map(([, name]) => name ?? '');

describe('docs/cli.md', () => {
  it.each([[], ...commands.filter((name) => name !== 'help').map((name) => [name])])(
    'has the help of mcp-recorder %s as it is',
    async (...command) => {
      const { code, stdout } = await run(...command, '--help');
      expect(code).toBe(0);
      expect(page).toContain(`<!-- help: ${command[0] ?? 'mcp-recorder'} -->\n\`\`\`\n${stdout}\`\`\`\n`);
    },
  );

  it('names six commands', () => {
    expect(commands).toEqual([
      'record',
      'sessions',
      'show',
      'verify',
      'verify-proof',
      'bucket-policy',
      'help',
    ]);
  });

  it('shows an exchange as the command does', async () => {
    const call = exchangeOf({
      exchange: CALL,
      params: { arguments: { message: 'hello' } },
      answer: 'Echo: hello',
    });
    const recorded = await recordIn([call]);
    try {
      const { stdout } = await run('show', recorded.directory, '--last');
      expect(page).toContain(`\`\`\`\n${stdout}\`\`\`\n`);
    } finally {
      await recorded.remove();
    }
  });
});
