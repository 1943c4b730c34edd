import { randomUUID } from 'node:crypto';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { openTerminal, type Terminal } from '../../support/terminal.ts';
import { ADA, CALL, EVENTS, exchangeOf, HOSTILE, type Recorded, recordIn } from '../recorded.ts';

const MAIN = path.join(import.meta.dirname, '../../../cli/main.ts');
const SIZES = [
  [80, 24],
  [200, 50],
] as const;
const ESC = '\u001b';
/** Clears the screen, writes a title and the clipboard, moves up, hides, reverses, and takes no width. */
const EVIL = `${ESC}[2J${ESC}[1;1H${ESC}]0;owned\u0007${ESC}]52;c;eA==\u0007${ESC}[8m\u009b31m\r\n\u202egnp.exe\u2066x\u200b\ufeff`;

let folder: string;
let recorded: Recorded;
beforeAll(async () => {
  folder = await fs.mkdtemp(path.join(os.tmpdir(), 'mcp-recorder-terminal-'));
  const named = (name: string) => ({ ...ADA, name });
  recorded = await recordIn([
    exchangeOf({
      exchange: CALL,
      tool: `delete_${'very_'.repeat(20)}long`,
      answer: 'x',
      principal: named('ada@example.com'),
    }),
    exchangeOf({
      exchange: EVENTS,
      tool: '削除_倉庫_データベース_🗑️_全部',
      answer: 'x',
      principal: named('東京の田中さんと大阪の鈴木さん'),
    }),
    exchangeOf({
      exchange: HOSTILE,
      tool: EVIL,
      params: { arguments: { [EVIL]: EVIL } },
      answer: EVIL,
      principal: named(EVIL),
      outcome: 'error',
    }),
  ]);
});
afterAll(async () => {
  await recorded.remove();
  await fs.rm(folder, { recursive: true });
});

const open: Terminal[] = [];
afterEach(async () => {
  for (const terminal of open.splice(0)) await terminal.close();
});

async function run(
  size: readonly [number, number],
  words: readonly string[],
  more: Record<string, string> = {},
) {
  const terminal = await openTerminal({
    columns: size[0],
    rows: size[1],
    command: [process.execPath, MAIN, ...words],
    env: { XDG_CACHE_HOME: path.join(folder, randomUUID()), ...more },
  });
  open.push(terminal);
  return terminal;
}

describe.each(SIZES)('on a terminal of %i by %i', (...size) => {
  it.each(['search', 'sessions', 'show', 'verify'])(
    '%s fits, and is not controlled by what was recorded',
    async (command) => {
      const terminal = await run(size, [command, recorded.directory]);
      expect(await terminal.exitCode()).toBe(0);
      const lines = await terminal.everything();
      const [heading = '', ...others] = lines;
      expect(heading).toMatch(/^[A-Z]+ {2,}[A-Z]/);
      const table = [heading, ...others.slice(0, others.indexOf('') < 0 ? undefined : others.indexOf(''))];
      // Nothing was broken by the terminal, cleared, hidden or moved: the lines stand there as they were printed.
      expect((await terminal.screen()).slice(0, table.length)).toEqual(table);
      expect(lines.join('\n')).not.toMatch(/[\u202e\u2066\u200b\ufeff]/u);
      const styled = await terminal.styled();
      // Bold, red, green, yellow and their ends; the last is how the terminal ends a colour.
      const ours = new Set(['0', '1', '22', '31', '32', '33', '39', '49']);
      const codes = styled
        .split(ESC)
        .slice(1)
        .map((text) => /^\[(\d*)m/.exec(text)?.[1]);
      expect(codes.filter((code) => code === undefined || !ours.has(code))).toEqual([]);
    },
  );

  it('search shows whole ids to copy, and the end of names that are cut', async () => {
    const terminal = await run(size, ['search', recorded.directory]);
    expect(await terminal.exitCode()).toBe(0);
    const text = (await terminal.everything()).join('\n');
    for (const id of [CALL, EVENTS, HOSTILE]) expect(text).toContain(id);
    expect(text).toMatch(/…\w*long/);
  });
});

describe('colours', () => {
  it.each([
    ['are there on a terminal', {}, true],
    ['are not with NO_COLOR', { NO_COLOR: '1' }, false],
    ['are not on a dumb terminal', { TERM: 'dumb' }, false],
    ['are there when they are forced', { TERM: 'dumb', FORCE_COLOR: '1' }, true],
  ])('%s', async (_what, env, coloured) => {
    const terminal = await openTerminal({
      columns: 100,
      rows: 20,
      // The terminal has a TERM of its own, and this process may have been told about colours.
      command: [
        'env',
        '-u',
        'NO_COLOR',
        '-u',
        'FORCE_COLOR',
        ...Object.entries(env).map(([name, value]) => `${name}=${value}`),
        process.execPath,
        MAIN,
        'search',
        recorded.directory,
        '--no-index',
      ],
    });
    open.push(terminal);
    expect(await terminal.exitCode()).toBe(0);
    expect((await terminal.styled()).includes(`${ESC}[31m`)).toBe(coloured);
  });
});
