import { afterEach, expect, it } from 'vitest';
import { openTerminal, type Terminal } from './terminal.ts';

const open: Terminal[] = [];
afterEach(async () => {
  for (const terminal of open.splice(0)) await terminal.close();
});

async function start(script: string) {
  const terminal = await openTerminal({
    columns: 40,
    rows: 10,
    command: [process.execPath, '-e', script],
    env: { MARK: 'of the test' },
  });
  open.push(terminal);
  return terminal;
}

it('runs a program in a terminal of its size, takes keys, and tells how it ended', async () => {
  const terminal = await start(`
    const { columns, rows, isTTY } = process.stdout;
    console.log(process.env.MARK, columns, rows, isTTY);
    process.stdin.once('data', (data) => { console.log('got ' + data); process.exit(7); });
  `);
  await terminal.waitFor(/of the test 40 10 true/);
  await terminal.type('hello; $x');
  await terminal.press('Enter');
  expect(await terminal.exitCode()).toBe(7);
  expect(await terminal.screen()).toContain('got hello; $x');
});

it('tells colours, and what has scrolled away', async () => {
  const terminal = await start(`
    console.log('\\x1b[31mred\\x1b[39m ' + 'x'.repeat(50));
    for (let n = 0; n < 20; n += 1) console.log(n);
  `);
  expect(await terminal.exitCode()).toBe(0);
  expect(await terminal.styled()).toContain('\u001b[31mred');
  expect((await terminal.everything())[0]).toBe(`red ${'x'.repeat(50)}`);
  expect(await terminal.screen()).not.toContain('0');
});

it('changes its size under the program', async () => {
  const terminal = await start(`
    process.stdout.on('resize', () => console.log('now ' + process.stdout.columns));
    console.log('ready'); setInterval(() => {}, 1000);
  `);
  await terminal.waitFor(/ready/);
  await terminal.resize(90, 12);
  await terminal.waitFor(/now 90/);
});
