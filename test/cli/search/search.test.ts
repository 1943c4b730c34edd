import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { LineDraft } from '@mcp-recorder/recording/format/line';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runWith } from '../command.ts';
import { ADA, CALL, EVENTS, exchangeOf, HOSTILE, type Recorded, recordIn } from '../recorded.ts';

const ROOT = path.join(import.meta.dirname, '../../..');
const MAIN = path.join(ROOT, 'cli/main.ts');
const GOLDEN = path.join(ROOT, 'test/fixtures/store');
const GAP: LineDraft = {
  type: 'gap',
  gap: {
    cause: 'fail_open',
    first_time: '2026-11-21T08:30:00.000000Z',
    last_time: '2026-11-21T08:31:00.000000Z',
    exchanges: 17,
    exact: true,
  },
};

let recorded: Recorded;
let cache: string;
beforeAll(async () => {
  cache = await fs.mkdtemp(path.join(os.tmpdir(), 'mcp-recorder-search-'));
  recorded = await recordIn([
    [GAP, ...exchangeOf({ exchange: CALL, tool: 'delete_repo', answer: 'the old repository is gone' })],
    exchangeOf({
      exchange: EVENTS,
      principal: { ...ADA, name: 'bob', groups: ['ops'] },
      answer: 'hi',
      outcome: 'error',
    }),
  ]);
});
afterAll(async () => {
  await recorded.remove();
  await fs.rm(cache, { recursive: true });
});

const search = (...words: string[]) =>
  runWith({ XDG_CACHE_HOME: cache }, 'search', recorded.directory, ...words);

/** The exchanges that are found, in order; from JSON lines. */
async function found(...words: string[]): Promise<string[]> {
  const { code, stdout, stderr } = await search('--json', ...words);
  expect([code, stderr]).toEqual([0, '']);
  const lines = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { type: string; exchange: string });
  return lines.filter(({ type }) => type === 'row').map(({ exchange }) => exchange);
}

describe('mcp-recorder search', () => {
  it('shows who called what, what came of it and how long it took, newest first, and the gaps beside it', async () => {
    const { code, stdout, stderr } = await search();
    expect([code, stderr]).toEqual([0, '']);
    const [heading, ...rows] = stdout.trimEnd().split('\n');
    expect(heading?.split(/ {2,}/)).toEqual(['TIME', 'WHO', 'WHAT', 'OUTCOME', 'TOOK', 'SERVER', 'EXCHANGE']);
    expect(rows.map((row) => row.split(/ {2,}/).slice(1))).toEqual([
      ['bob', 'tools/call echo', 'error -32602', '52.2 ms', 'github', EVENTS],
      ['ada@example.com', 'tools/call delete_repo', 'ok', '52.2 ms', 'github', CALL],
      [],
      [],
      [],
    ]);
    expect(rows.slice(2)).toEqual([
      '',
      '2 rows, newest first.',
      'Gap: 17 exchanges were not recorded between 2026-11-21 08:30:00.000 UTC and 2026-11-21 08:31:00.000 UTC on local/github (fail_open).',
    ]);
  });

  it.each([
    [['--user', 'ada*'], [CALL]],
    [
      ['--user', 'ada@example.com', '--user', 'bob'],
      [EVENTS, CALL],
    ],
    [['--group', 'ops'], [EVENTS]],
    [['--tool', 'delete_*'], [CALL]],
    [
      ['--method', 'tools/call', '--server', 'git*', '--namespace', 'local'],
      [EVENTS, CALL],
    ],
    [
      ['--session', 'h:5d5d'],
      [EVENTS, CALL],
    ],
    [['--outcome', 'error', '--outcome', 'denied'], [EVENTS]],
    [['--text', '"old repository" go*'], [CALL]],
    [
      ['--since', '2026-11-21', '--until', '2026-11-21'],
      [EVENTS, CALL],
    ],
    [['--until', '2026-11-20'], []],
    [['--where', 'result.outcome == "error" && result.error_code == -32602'], [EVENTS]],
    [['--where', 'result.duration_us / 1000 == 52 && call.target.startsWith("delete_")'], [CALL]],
    [['--where', '"ops" in result.principal.groups', '--limit', 'all'], [EVENTS]],
    [['--limit', '1'], [EVENTS]],
  ])('finds with %j', async (words, exchanges) => {
    expect(await found(...words)).toEqual(exchanges);
  });

  it('says that there are more, and no gap of what it did not look at', async () => {
    const { stdout } = await search('--limit', '1');
    expect(stdout.trimEnd().split('\n').slice(2)).toEqual([
      '',
      '1 row, newest first. There are more: --limit gives them.',
    ]);
  });

  it('says that nothing was found, and where, and that a gap lies there', async () => {
    const { code, stdout } = await search('--tool', 'nothing', '--since', '2026-11-21');
    expect([code, stdout.split('\n')[0]]).toEqual([
      0,
      `Nothing found in ${recorded.directory} in that time.`,
    ]);
    expect(stdout).toContain('Gap: 17 exchanges were not recorded');
  });

  it('tells a gap whose line was written after the time that is asked for', async () => {
    const { stdout } = await search('--since', '2026-11-21T08:00:00Z', '--until', '2026-11-21T08:30:30Z');
    expect(stdout).toMatch(/^Nothing found[^]*Gap: 17/);
    const before = await search('--since', '2026-11-21T08:00:00Z', '--until', '2026-11-21T08:29:00Z');
    expect(before.stdout).not.toContain('Gap');
  });

  it('says of how many rows an expression could not be evaluated', async () => {
    const { code, stdout } = await search('--where', 'result.nothing == 1');
    expect(code).toBe(0);
    expect(stdout).toContain(
      'Of 2 rows --where could not be evaluated, so they are not shown (the first: No such key: nothing).',
    );
  });

  it('is no error when the reader of its output has enough', async () => {
    const child = spawn(process.execPath, [MAIN, 'search', GOLDEN, '--json'], {
      env: { ...process.env, XDG_CACHE_HOME: cache },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const errors: Buffer[] = [];
    child.stderr.on('data', (data: Buffer) => errors.push(data));
    child.stdout.destroy();
    const [code] = (await once(child, 'close')) as [number];
    expect([code, Buffer.concat(errors).toString()]).toEqual([0, '']);
  });
});

describe('what was read', () => {
  it('is remembered in the cache directory of the user, one file for each store, for nobody else to read', async () => {
    const home = path.join(cache, 'kept');
    const env = { XDG_CACHE_HOME: home };
    await runWith(env, 'search', recorded.directory);
    await runWith(env, 'search', GOLDEN);
    const directory = path.join(home, 'mcp-recorder/index');
    const files = (await fs.readdir(directory)).filter((name) => name.endsWith('.sqlite'));
    expect(files).toHaveLength(2);
    for (const file of [directory, ...files.map((name) => path.join(directory, name))]) {
      expect((await fs.stat(file)).mode & 0o077).toBe(0);
    }
  });

  it('is not kept with --no-index', async () => {
    const home = path.join(cache, 'not-kept');
    const { stdout } = await runWith({ XDG_CACHE_HOME: home }, 'search', recorded.directory, '--no-index');
    expect(stdout).toContain('2 rows');
    await expect(fs.stat(home)).rejects.toThrow('ENOENT');
  });

  it('is done without where it can not be kept, which is said', async () => {
    const file = path.join(cache, 'file');
    await fs.writeFile(file, '');
    const { code, stdout, stderr } = await runWith({ XDG_CACHE_HOME: file }, 'search', recorded.directory);
    expect([code, stderr]).toEqual([
      0,
      expect.stringMatching(/^mcp-recorder: What is read can't be kept in .*\n$/),
    ]);
    expect(stdout).toContain('2 rows');
  });
});

describe('--json', () => {
  it('prints rows, gaps and a summary, each as the published schema says', async () => {
    const file = path.join(ROOT, 'docs/schema/search.schema.json');
    const validate = new Ajv2020({ strict: false }).compile(
      JSON.parse(await fs.readFile(file, 'utf8')) as object,
    );
    const env = { XDG_CACHE_HOME: cache };
    const { stdout } = await runWith(
      env,
      'search',
      GOLDEN,
      '--json',
      '--where',
      'result.outcome != "x" || true',
    );
    const lines = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { type: string });
    for (const line of lines) expect([validate(line), validate.errors, line]).toEqual([true, null, line]);
    expect(lines.map(({ type }) => type).join(' ')).toMatch(/^(row )+(gap )+summary$/);
    const rows = lines.filter(({ type }) => type === 'row').length;
    expect(lines.at(-1)).toMatchObject({
      v: 1,
      rows,
      more: false,
      interrupted: false,
      gaps: 1,
      unreadable: 0,
    });
    expect(validate({ ...lines[0], outcome: 'fine' })).toBe(false);
  });

  it('has each member in docs/cli.md', async () => {
    const page = await fs.readFile(path.join(ROOT, 'docs/cli.md'), 'utf8');
    const section = page.slice(page.indexOf('\n## search\n'), page.indexOf('\n## show\n'));
    const { stdout } = await search('--json');
    const members = stdout
      .trimEnd()
      .split('\n')
      .flatMap((line) => Object.keys(JSON.parse(line) as object));
    for (const member of new Set(members)) expect(section).toContain(`\`${member}\``);
  });

  it('has names as the view operations of schema/duckdb.sql has them', async () => {
    const view = await fs.readFile(path.join(ROOT, 'schema/duckdb.sql'), 'utf8');
    const columns = [
      ...view
        .slice(view.indexOf('VIEW operations'), view.indexOf('VIEW denials'))
        .matchAll(/(?: AS |answered\.)([a-z_]+),?$/gm),
    ];
    const [row = ''] = (await search('--json')).stdout.split('\n');
    for (const [, name = ''] of columns) {
      if (!['called', 'call', 'asked', 'date'].includes(name))
        expect(Object.keys(JSON.parse(row) as object)).toContain(name);
    }
    expect(columns.length).toBeGreaterThan(15);
  });
});

it('logs which sessions it has shown, and with which filter', async () => {
  const audit = path.join(cache, 'audit');
  const other = await recordIn([exchangeOf({ exchange: HOSTILE, answer: 'x' })]);
  try {
    const words = ['search', other.directory, '--user', 'ada*', '--where', 'true', '--audit', audit];
    expect((await runWith({ XDG_CACHE_HOME: cache }, ...words)).code).toBe(0);
    const log = await runWith({ XDG_CACHE_HOME: cache }, 'search', audit, '--text', '"ada" "true"', '--json');
    expect(log.stdout).toContain('mcp-recorder/search');
    const named = await runWith(
      { XDG_CACHE_HOME: cache },
      'search',
      audit,
      '--text',
      `"h:${'5d'.repeat(16)}"`,
      '--json',
    );
    expect(named.stdout).toContain('mcp-recorder/search');
  } finally {
    await other.remove();
  }
});
