import { createHash } from 'node:crypto';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { asyncBufferFromFile, parquetReadObjects } from 'hyparquet';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runWith } from '../command.ts';
import { ADA, CALL, EVENTS, exchangeOf, HOSTILE, type Recorded, recordIn } from '../recorded.ts';

/** Text that breaks out of whatever does not keep it in. */
const ESCAPING =
  '```\n</pre><script>alert(1)</script>\n=HYPERLINK("http://evil")\u001b]0;x\u0007\u202egpj.exe';
const IMAGE = Buffer.from('89504e470d0a1a0a', 'hex').toString('base64');

let recorded: Recorded;
let directory: string;
beforeAll(async () => {
  recorded = await recordIn([
    [
      ...exchangeOf({ exchange: CALL, answer: 'hello', params: { arguments: { message: 'hi' } } }),
      {
        type: 'gap',
        gap: {
          cause: 'fail_open',
          first_time: '2026-11-21T08:40:00.000000Z',
          last_time: '2026-11-21T08:40:00.500000Z',
          exchanges: 17,
          exact: true,
        },
      },
    ],
    exchangeOf({
      exchange: HOSTILE,
      principal: { ...ADA, name: '=cmd()' },
      tool: '`evil`',
      answer: {
        result: {
          content: [
            { type: 'text', text: ESCAPING },
            { type: 'image', mimeType: 'image/png', data: IMAGE },
          ],
        },
      },
    }),
    exchangeOf({ exchange: EVENTS, answer: 'as events', events: true }),
  ]);
  directory = await fs.mkdtemp(path.join(os.tmpdir(), 'mcp-recorder-export-'));
});
afterAll(async () => {
  await recorded.remove();
  await fs.rm(directory, { recursive: true });
});

const run = (...words: string[]) => runWith({ XDG_CACHE_HOME: path.join(directory, 'cache') }, ...words);

/** Exports everything. */
async function exported(form: string, ...more: string[]): Promise<{ file: string; text: string }> {
  const file = path.join(directory, `${form}-${more.length}.out`);
  const { code, stderr } = await run(
    'export',
    recorded.directory,
    '--as',
    form,
    '--out',
    file,
    '--force',
    ...more,
  );
  expect(stderr).toContain(file);
  expect(code).toBe(0);
  return { file, text: await fs.readFile(file, 'utf8') };
}

describe('export', () => {
  it('gives exchanges as JSON lines, with what was not recorded and a summary', async () => {
    const { text } = await exported('json');
    const lines = text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines.map(({ type }) => type)).toEqual(['exchange', 'exchange', 'exchange', 'gap', 'summary']);
    expect(lines[0]).toMatchObject({
      v: 1,
      exchange: CALL,
      principal: { name: 'ada@example.com' },
      calls: [
        { asked: { params: { arguments: { message: 'hi' } } }, answer: { id: 7 }, result: { outcome: 'ok' } },
      ],
    });
    expect(lines.at(-1)).toMatchObject({ exchanges: 3, gaps: 1, asked: { as: 'json' } });
  });

  it('gives rows as CSV in which no cell is a formula', async () => {
    const { text } = await exported('csv', '--user', '=cmd()');
    const [heading = '', row = ''] = text.split('\r\n');
    expect(heading.split(',').slice(0, 3)).toEqual(['time', 'kind', 'cluster']);
    expect(row).toContain("'=cmd()");
    expect(row).not.toMatch(/(^|,)"?[=+@]/);
  });

  it('gives rows as Parquet, with typed columns, to two readers', async () => {
    const { file } = await exported('parquet');
    const rows = await parquetReadObjects({ file: await asyncBufferFromFile(file) });
    expect(rows.length).toBe(4);
    const duckdb = await (await DuckDBInstance.create()).connect();
    const found = await duckdb.runAndReadAll(
      `SELECT typeof(time), typeof(duration_us), typeof(target), target, duration_us, epoch_us(time)
       FROM read_parquet('${file}') WHERE exchange = '${CALL}'`,
    );
    const us = BigInt(Date.parse('2026-11-21T08:40:00.001Z')) * 1_000n;
    expect(found.getRows()).toEqual([['TIMESTAMP WITH TIME ZONE', 'BIGINT', 'VARCHAR', 'echo', 52_180n, us]]);
  });

  it('gives exchanges as an HTTP archive', async () => {
    const { text } = await exported('har');
    const { log } = JSON.parse(text);
    expect(log.version).toBe('1.2');
    expect(log.entries).toHaveLength(3);
    for (const entry of log.entries) {
      for (const name of ['startedDateTime', 'time', 'request', 'response', 'cache', 'timings']) {
        expect(entry).toHaveProperty(name);
      }
      const sides = {
        request: ['method', 'url', 'queryString'],
        response: ['status', 'statusText', 'content', 'redirectURL'],
      };
      for (const [side, names] of Object.entries(sides)) {
        for (const name of [...names, 'httpVersion', 'cookies', 'headers', 'headersSize', 'bodySize']) {
          expect(entry[side]).toHaveProperty(name);
        }
      }
    }
    const [call, , events] = log.entries;
    expect(call.request).toMatchObject({ method: 'POST', url: 'http://github.local/mcp' });
    expect(JSON.parse(call.request.postData.text)).toMatchObject({ method: 'tools/call' });
    expect(events.response.content.text).toMatch(/^data: /);
    expect(JSON.parse(log.comment).gaps).toHaveLength(1);
  });

  it('gives a transcript in Markdown that nothing recorded breaks out of', async () => {
    const { text } = await exported('markdown');
    expect(text).toContain('**Not recorded:** `17 exchanges with local/github');
    // The text with a fence of three stands in one of four.
    expect(text).toMatch(/\n````text\n[^]*```[^]*<\/pre><script>[^]*\n````\n/);
    expect(text).toContain('\\u202egpj.exe');
    expect(text).not.toContain('\u202e');
    expect(text).not.toContain('\u001b');
  });

  it('proves each exchange, and says what it has written with its SHA-256', async () => {
    const proof = path.join(directory, 'proofs');
    const { file } = await exported('json', '--proof', proof);
    const { code, stdout } = await run('verify-proof', proof, '--key', recorded.publicKey);
    expect([code, stdout]).toEqual([0, expect.stringContaining('3 of 3 proofs hold.')]);
    const manifest = JSON.parse(await fs.readFile(`${file}.manifest.json`, 'utf8'));
    expect(manifest).toMatchObject({
      v: 1,
      store: recorded.directory,
      unreadable: 0,
      gaps: [{ exchanges: 17 }],
    });
    for (const { file: name, bytes, sha256 } of manifest.files) {
      const content = await fs.readFile(name);
      expect([bytes, sha256]).toEqual([content.length, createHash('sha256').update(content).digest('hex')]);
    }
    const [first = '', ...others] = (await fs.readFile(proof, 'utf8')).split('\n');
    await fs.writeFile(proof, [first.replace('echo', 'ecno'), ...others].join('\n'));
    const changed = await run('verify-proof', proof);
    expect([changed.code, changed.stdout]).toEqual([1, expect.stringContaining('2 of 3 proofs hold.')]);
  });

  it('exports the others although one exchange is nested too deeply, and gives its body', async () => {
    const deep = `${'['.repeat(4_000)}${']'.repeat(4_000)}`;
    const nested = exchangeOf({ exchange: CALL, answer: 'x' }).map((draft) =>
      draft.type === 'response' ? { ...draft, body: `{"jsonrpc":"2.0","id":7,"result":${deep}}` } : draft,
    );
    const odd = exchangeOf({ exchange: HOSTILE, answer: 'y' }).map((draft) =>
      draft.type === 'request' ? { ...draft, http: { ...draft.http, target: '*' } } : draft,
    );
    const hostile = await recordIn([nested, odd]);
    for (const form of ['json', 'har', 'html', 'markdown']) {
      const { code, stdout } = await run('export', hostile.directory, '--as', form, '--out', '-');
      expect([form, code]).toEqual([form, 0]);
      expect(stdout).toContain(HOSTILE);
      if (form === 'json') expect(JSON.parse(stdout.split('\n')[0] ?? '').bodies[1].text).toContain(deep);
    }
    await hostile.remove();
  });

  it('writes to standard output when it is asked to', async () => {
    const { code, stdout, stderr } = await run('export', recorded.directory, '--as', 'csv', '--out', '-');
    expect([code, stdout.split('\r\n').length, stderr]).toEqual([0, 6, '']);
  });

  it('replaces nothing without being asked, and leaves nothing of what failed', async () => {
    const file = path.join(directory, 'mine');
    await fs.writeFile(file, 'mine');
    const words = ['export', recorded.directory, '--as', 'json', '--out', file];
    expect(await run(...words)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--force to replace it'),
    });
    expect(await fs.readFile(file, 'utf8')).toBe('mine');
    const nowhere = [
      'export',
      path.join(directory, 'nowhere'),
      '--as',
      'json',
      '--out',
      path.join(directory, 'x'),
    ];
    expect((await run(...nowhere)).code).toBe(2);
    expect(
      (await fs.readdir(directory)).filter((name) => name.startsWith('x') || name.endsWith('.part')),
    ).toEqual([]);
  });

  it.each([
    [['--as', 'xml', '--out', 'x'], 'Allowed choices are markdown, html, json, csv, parquet, har'],
    [['--as', 'json'], "required option '--out <file>'"],
    [['--as', 'parquet', '--out', '-'], '--as parquet needs a file'],
    [['--as', 'json', '--out', '-', '--proof', 'p'], '--proof needs a file for --out as well'],
    [['--as', 'json', '--out', 'x', '--exchange', '7'], '--exchange needs an id of 26 letters and digits'],
  ])('refuses %j with what would be right', async (words, message) => {
    const { code, stdout, stderr } = await run('export', recorded.directory, ...words);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain(message);
  });

  it('exits with 1 when nothing matches', async () => {
    const out = path.join(directory, 'none');
    const { code, stderr } = await run(
      'export',
      recorded.directory,
      '--as',
      'csv',
      '--out',
      out,
      '--user',
      'nobody',
    );
    expect([code, stderr]).toEqual([1, expect.stringContaining('0 rows')]);
  });
});
