import fs from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { run } from './command.ts';
import { ADA, CALL, EVENTS, exchangeOf, recordIn } from './recorded.ts';

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

  it('has the help of mcp-recorder policy test as it is', async () => {
    const { stdout } = await run('policy', 'test', '--help');
    expect(page).toContain(`<!-- help: policy test -->\n\`\`\`\n${stdout}\`\`\`\n`);
  });

  it('names eleven commands', () => {
    expect(commands).toEqual([
      'record',
      'sessions',
      'search',
      'show',
      'tail',
      'verify',
      'verify-proof',
      'replay',
      'export',
      'policy',
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

  it('shows a trial of rules and masks as the command does', async () => {
    const [policy = ''] = /(?<=```yaml\n)rules:\n[^`]*/.exec(page) ?? [];
    const principal = { ...ADA, groups: ['dev'] };
    const recorded = await recordIn([
      exchangeOf({ exchange: CALL, principal, tool: 'delete_repo', answer: 'gone' }),
      exchangeOf({ exchange: EVENTS, params: { arguments: { password: 'hello' } }, answer: 'Echo: E123456' }),
    ]);
    try {
      const file = path.join(recorded.directory, 'policy.yaml');
      await fs.writeFile(file, policy);
      const { stdout } = await run('policy', 'test', '--config', file, '--recording', recorded.directory);
      const shown = stdout
        .replaceAll(`${recorded.directory}/`, '')
        .replaceAll(recorded.directory, './recordings');
      expect(page).toContain(`\`\`\`\n${shown}\`\`\`\n`);
    } finally {
      await recorded.remove();
    }
  });
});
