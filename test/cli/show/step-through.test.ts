import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { openTerminal, type Terminal } from '../../support/terminal.ts';
import { runWith } from '../command.ts';
import { exchangeOf, type Recorded, recordIn } from '../recorded.ts';

const MAIN = path.join(import.meta.dirname, '../../../cli/main.ts');
const SESSION = `h:${'5d'.repeat(16)}`;
const HOSTILE = '\u001b]0;owned\u0007\u001b[2J\u001b[31mred\u001b[5;5H\u202egnorw \u009b7m wide 漢字';
const idOf = (n: number) => `01KAH3MBWD0G6R4Y1S8T2V${String(n).padStart(4, '0')}`;

let recorded: Recorded;
beforeAll(async () => {
  recorded = await recordIn([
    Array.from({ length: 30 }, (_, n) =>
      exchangeOf({
        exchange: idOf(n),
        tool: n === 20 ? 'delete_repo' : 'echo',
        params: { arguments: { n } },
        answer:
          n === 0
            ? HOSTILE
            : n === 2
              ? 'line\n'.repeat(60) + 'the end'
              : `answer ${n}${n === 7 ? ' zebra' : ''}`,
        outcome: n === 5 ? 'error' : 'ok',
      }),
    ).flat(),
  ]);
});
afterAll(() => recorded.remove());

const open: Terminal[] = [];
afterEach(async () => {
  for (const terminal of open.splice(0)) await terminal.close();
});

async function start(
  columns: number,
  rows: number,
  { id = SESSION, env = {} }: { id?: string; env?: Record<string, string> } = {},
) {
  const command = [
    'env',
    '-u',
    'FORCE_COLOR',
    process.execPath,
    MAIN,
    'show',
    recorded.directory,
    id,
    '-i',
    '--no-index',
  ];
  const terminal = await openTerminal({
    columns,
    rows,
    command,
    env: { NO_COLOR: '', CI: '', ...env },
  });
  open.push(terminal);
  return terminal;
}

describe.each([
  [80, 24],
  [200, 50],
])('show -i on a terminal of %i by %i', (columns, rows) => {
  it('goes to the next, the previous, the first, the last and any step', async () => {
    const terminal = await start(columns, rows);
    await terminal.waitFor(/^> +1 .*\n[^]*step 1\/30 /m);
    expect(await terminal.screen()).toHaveLength(rows);
    await terminal.press('n', 'j', 'Down');
    await terminal.waitFor(/step 4\/30 /);
    await terminal.press('p', 'k', 'Up');
    await terminal.waitFor(/step 1\/30 /);
    await terminal.press('End');
    await terminal.waitFor(/^> 30 [^]*answer 29[^]*step 30\/30 /m);
    await terminal.press('n', 'Home', 'p');
    await terminal.waitFor(/step 1\/30 /);
    await terminal.type('g21');
    await terminal.waitFor(/Go to step: 21_/);
    await terminal.press('Enter');
    await terminal.waitFor(/^> 21 .*delete_repo[^]*step 21\/30 /m);
    await terminal.type('g999');
    await terminal.press('Enter');
    await terminal.waitFor(/step 30\/30 /);
  });

  it('filters by tool, outcome and words in bodies, and lists all again', async () => {
    const terminal = await start(columns, rows);
    await terminal.waitFor(/step 1\/30 /);
    for (const [words, number] of [
      ['delete_', 21],
      ['error', 6],
      ['zebra', 8],
    ] as const) {
      await terminal.type(`/${words}`);
      await terminal.press('Enter');
      await terminal.waitFor(new RegExp(`^> +${number} [^]*step 1/1  /${words}`, 'm'));
      await terminal.press('Escape');
      await terminal.waitFor(new RegExp(`^> +${number} [^]*step ${number}/30 `, 'm'));
    }
    await terminal.type('/nothing has this');
    await terminal.press('Enter');
    await terminal.waitFor(/no step {2}\/nothing has this/);
  });

  it('opens a body, scrolls it to its end, goes on to the next one, and back', async () => {
    const terminal = await start(columns, rows);
    await terminal.waitFor(/step 1\/30 /);
    await terminal.type('g3');
    await terminal.press('Enter', 'Enter');
    await terminal.waitFor(new RegExp(`lines 1-${rows - 2}/\\d+`));
    expect((await terminal.screen()).join('\n')).not.toContain('the end');
    await terminal.press('Down');
    await terminal.waitFor(new RegExp(`lines 2-${rows - 1}/\\d+`));
    await terminal.press('End');
    await terminal.waitFor(/the end/);
    await terminal.press('n');
    await terminal.waitFor(/answer 3[^]*step 4\/30 {2}lines 1-/);
    await terminal.press('Escape');
    await terminal.waitFor(/^> +4 /m);
    await terminal.press('?');
    await terminal.waitFor(/next step, previous step/);
  });

  it('gives the terminal back as it was, after q and after Ctrl-C', async () => {
    for (const key of ['q', 'C-c']) {
      const terminal = await start(columns, rows);
      await terminal.waitFor(/step 1\/30 /);
      await terminal.press(key);
      expect(await terminal.exitCode()).toBe(0);
      expect((await terminal.everything()).join('\n')).not.toContain('step 1/30');
    }
  });

  it('shows escape sequences of a result as text, which do nothing', async () => {
    const terminal = await start(columns, rows);
    await terminal.waitFor(/step 1\/30 /);
    await terminal.press('Enter');
    const screen = await terminal.waitFor(/lines 1-/);
    expect(screen).toContain(
      String.raw`\u001b]0;owned\u0007\u001b[2J\u001b[31mred\u001b[5;5H\u202egnorw \u009b7m wide`.slice(
        0,
        columns - 10,
      ),
    );
    expect(screen).toMatch(/^Session h:5d/);
    expect(await terminal.styled()).not.toContain('\u001b[31m');
    expect(await terminal.title()).not.toContain('owned');
  });
});

it('follows the size of the window down to very small ones', async () => {
  const terminal = await start(80, 24);
  await terminal.waitFor(/step 1\/30 /);
  for (const [columns, rows] of [
    [40, 10],
    [120, 40],
    [20, 4],
    [12, 2],
  ] as const) {
    await terminal.resize(columns, rows);
    await terminal.waitFor(/^(?:(?!Session).*\n)?.*step 1\/30|^Session[^]*step 1\/30/);
    await expect
      .poll(async () => {
        const screen = await terminal.screen();
        return screen.length === rows && /step 1\/30/.test(screen.at(-1) ?? '');
      })
      .toBe(true);
    expect((await terminal.screen()).every((line) => line.length <= columns)).toBe(true);
  }
});

it('uses no colour where NO_COLOR is set, and still says where one stands', async () => {
  const terminal = await start(80, 24, { env: { NO_COLOR: '1' } });
  await terminal.waitFor(/^> +1 [^]*step 1\/30 /m);
  await terminal.press('End');
  await terminal.waitFor(/^> 30 /m);
  // oxlint-disable-next-line no-control-regex
  expect(await terminal.styled()).not.toMatch(/\u001b\[[\d;]*m/);
});

it('steps through one exchange', async () => {
  const terminal = await start(80, 24, { id: idOf(5) });
  await terminal.waitFor(/^Exchange 01KAH3MBWD[^]*> 1 [^]*answer 5[^]*step 1\/1 /);
});

it('needs a terminal, and says so', async () => {
  expect(await runWith({}, 'show', recorded.directory, SESSION, '-i')).toEqual({
    code: 2,
    stdout: '',
    stderr: 'mcp-recorder: show -i needs a terminal for its keys and its screen; without -i it prints.\n',
  });
});
