import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api';
import type { LineDraft } from '@mcp-recorder/recording/format/line';
import { lineSchema } from '@mcp-recorder/recording/format/line-schema';
import { readSegments } from '@mcp-recorder/recording/read/store-reader';
import { createDirectoryStore } from '@mcp-recorder/recording/store/directory-store';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { toolCall } from './drafts.ts';
import { ANONYMOUS, createStreamBuilder, store, type StreamOptions } from './stream-builder.ts';

const STREAM = '01KAH3M8ZK4T9V2B6XN5R0WCEA';
const A = '01KAH3MBWD0G6R4Y1S8T2V5Z9C';
const B = '01KAH3MBWD0G6R4Y1S8T2V5Z9D';
const START_MS = Date.UTC(2026, 10, 21, 8, 40);
/** Without nulls, which are absent columns to JSON, and with times as the format writes them. */
function comparable(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(comparable);
  if (typeof value === 'string') {
    const [, date, time, fraction = ''] = /^([\d-]{10}) ([\d:]{8})(?:\.(\d+))?$/.exec(value) ?? [];
    return date === undefined ? value : `${date}T${time}.${fraction.padEnd(6, '0')}Z`;
  }
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(([, nested]) => nested !== null);
  return Object.fromEntries(entries.map(([name, nested]) => [name, comparable(nested)]));
}

/** How SQL names the columns within a value: `a.b` in an object, `a[1].b` in a list of objects. */
function namesIn(value: unknown, prefix: string): string[] {
  if (Array.isArray(value)) return value.flatMap((item) => namesIn(item, `${prefix}[1]`));
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, nested]) => {
    const path = prefix === '' ? name : `${prefix}.${name}`;
    return [path].concat(namesIn(nested, path));
  });
}

const onUnreadable = ({ message }: { message: string }) => expect.unreachable(message);
const FIXTURES = new URL('../fixtures/store', import.meta.url).pathname;
const SCHEMA = new URL('../../schema/duckdb.sql', import.meta.url);

type Row = Record<string, unknown>;

describe('the shipped DuckDB views', () => {
  let root: string;
  let instance: DuckDBInstance;
  let connection: DuckDBConnection;
  beforeEach(async () => {
    root = await fs.mkdtemp(path.join(os.tmpdir(), 'mcp-recorder-duckdb-'));
    instance = await DuckDBInstance.create(':memory:', { threads: '2' });
    connection = await instance.connect();
  });
  afterEach(async () => {
    connection.closeSync();
    instance.closeSync();
    await fs.rm(root, { recursive: true });
  });

  async function open(location = root): Promise<void> {
    await connection.run(`SET VARIABLE store = '${location}'`);
    await connection.run(await fs.readFile(SCHEMA, 'utf8'));
  }
  async function rows(sql: string): Promise<Row[]> {
    return (await connection.runAndReadAll(sql)).getRowObjectsJson();
  }
  async function record(drafts: readonly LineDraft[], options: Partial<StreamOptions> = {}): Promise<void> {
    const builder = createStreamBuilder({ stream: STREAM, startMs: START_MS, ...options });
    await store(createDirectoryStore(root), builder.segment(drafts, { last: true }));
  }

  it('gives every column its type, whatever the recording holds', async () => {
    await record([]);
    await open();
    const described = await rows('SELECT column_name, column_type FROM (DESCRIBE lines)');
    const types = Object.fromEntries(described.map((row) => [row['column_name'], row['column_type']]));
    expect(types).toMatchObject({
      v: 'INTEGER',
      seq: 'BIGINT',
      time: 'TIMESTAMP',
      exchange: 'VARCHAR',
      rpc_id: 'VARCHAR',
      body: 'VARCHAR',
      error_code: 'BIGINT',
      cluster: 'VARCHAR',
      date: 'DATE',
      session: 'STRUCT(id VARCHAR, how VARCHAR)',
    });
    expect(Object.values(types).filter((type) => String(type).includes('JSON'))).toEqual([]);
  });

  it('shows an exchange as one row', async () => {
    const session = { id: 'h:00', how: 'address' } as const;
    const answeredSession = { id: 'h:11', how: 'mcp-session-id' } as const;
    await record([
      ...toolCall({ exchange: A, session, answeredSession }),
      ...toolCall({ exchange: B }).slice(0, 1),
    ]);
    await open();
    expect(await rows('SELECT * FROM exchanges ORDER BY exchange')).toMatchObject([
      {
        exchange: A,
        stream: STREAM,
        server: 'github',
        date: '2026-11-21',
        time: '2026-11-21 08:40:00.001',
        principal: { how: 'anonymous' },
        session: answeredSession,
        method: 'POST',
        target: '/mcp',
        status: 200,
        how: 'complete',
        answered_by: 'server',
        duration_us: '2000',
        parts: '4',
      },
      { exchange: B, session: null, how: null, status: null, parts: '1' },
    ]);
  });

  it('shows an operation as one row, and derives unknown for a request without result', async () => {
    const [request, response] = toolCall({ exchange: B, tool: 'lost' });
    const note = toolCall({ exchange: '01KAH3MBWD0G6R4Y1S8T2V5Z9E', kind: 'notification' })[0];
    const elsewhere: LineDraft = {
      ...toolCall({ exchange: A, tool: 'elsewhere' })[2],
      exchange: null,
      part: null,
      operation: null,
      call_exchange: null,
      outcome: 'error',
      error_code: -32_000,
    } as LineDraft;
    await record([...toolCall({ exchange: A }), request, response, note, elsewhere]);
    await open();
    const found = await rows(
      'SELECT operation, exchange, kind, sender, target, outcome, cause, error_code, duration_us, principal.how AS who, server FROM operations ORDER BY time, target',
    );
    const common = { sender: 'client', who: 'anonymous', server: 'github' };
    expect(found).toEqual([
      {
        ...common,
        operation: `${A}.0`,
        exchange: A,
        kind: 'request',
        target: 'echo',
        outcome: 'ok',
        cause: null,
        error_code: null,
        duration_us: '1500',
      },
      {
        ...common,
        operation: `${B}.0`,
        exchange: B,
        kind: 'request',
        target: 'lost',
        outcome: 'unknown',
        cause: 'no_result',
        error_code: null,
        duration_us: null,
      },
      {
        ...common,
        operation: '01KAH3MBWD0G6R4Y1S8T2V5Z9E.0',
        exchange: '01KAH3MBWD0G6R4Y1S8T2V5Z9E',
        kind: 'notification',
        target: 'echo',
        outcome: null,
        cause: null,
        error_code: null,
        duration_us: null,
      },
      {
        ...common,
        operation: null,
        exchange: null,
        kind: 'request',
        target: 'elsewhere',
        outcome: 'error',
        cause: null,
        error_code: '-32000',
        duration_us: '1500',
      },
    ]);
  });

  it('shows every line of the golden fixtures as it was recorded, column by column', async () => {
    const recorded: Row[] = [];
    for await (const { lines } of readSegments(createDirectoryStore(FIXTURES), { onUnreadable })) {
      for (const { bytes } of lines()) recorded.push(comparable(JSON.parse(bytes.toString())) as Row);
    }
    expect(recorded.length).toBeGreaterThan(10);
    await open(FIXTURES);
    const shown = await rows('SELECT to_json(lines) AS line FROM lines');
    const found = shown.map(({ line }) => comparable(JSON.parse(line as string)) as Row);
    for (const row of found)
      for (const partition of ['cluster', 'namespace', 'server', 'date']) delete row[partition];
    const position = ({ stream, seq }: Row) => `${stream}/${String(seq).padStart(9, '0')}`;
    const inOrder = (a: Row, b: Row) => (position(a) < position(b) ? -1 : 1);
    expect(found.toSorted(inOrder)).toEqual(recorded.toSorted(inOrder));
  });

  it('takes every column of the golden fixtures, nested ones too, by its name without quotes', async () => {
    await open(FIXTURES);
    const names = new Set<string>();
    for await (const { lines } of readSegments(createDirectoryStore(FIXTURES), { onUnreadable })) {
      for (const { line } of lines()) for (const name of namesIn(line, '')) names.add(name);
    }
    expect([...names]).toEqual(
      expect.arrayContaining(['open.commit', 'calls[1].decision.rule', 'seal.last']),
    );
    expect(await rows(`SELECT ${[...names].join(', ')} FROM lines LIMIT 1`)).toHaveLength(1);
  });

  it('has a column for each that the format knows', async () => {
    await record([]);
    await open();
    const columns = (await rows('SELECT column_name AS name FROM (DESCRIBE lines)')).map(({ name }) => name);
    const known = new Set(lineSchema.options.flatMap((option) => Object.keys(option.shape)));
    expect(columns.toSorted()).toEqual([...known, 'cluster', 'namespace', 'server', 'date'].toSorted());
  });

  const HOSTILE = {
    'duplicate keys': '{"method":"a","method":"b","Method":"c","METHOD":1}',
    'huge integers': '{"id":123456789012345678901234567890,"n":1e999}',
    'NUL in text and keys': '{"a\u0000b":"\u0000","c":"\\u0000"}',
    'an id that is an object': '{"id":{"a":[1,{"b":null}]}}',
    'text that looks like a line': '{"v":1,"stream":5,"seq":"x","time":[],"type":{}}\n{"v":2}',
    'line ends of every kind': 'a\nb\rc\r\nd\u2028e\u2029f\u0085g',
    'a byte order mark': '\ufeff{}',
    'emoji, noncharacters and private characters': '😀\uffff\ufffe\u{10ffff}\ue000',
    'a lone surrogate': 'x\ud800y',
    'deep nesting': '['.repeat(100_000),
    'quotes and backslashes': '"\\"\\\\\\u0022',
    'text that looks like a time': '2026-11-21T08:40:00.000000Z',
    nothing: '',
  };

  it.each(Object.entries(HOSTILE))('reads a day with a body of %s', async (_, body) => {
    await record([
      ...toolCall({ exchange: A, requestBody: body, responseBody: body }),
      ...toolCall({ exchange: B }),
    ]);
    await open();
    // As bytes: the client library decodes text itself, and drops a byte order mark.
    const found = await rows(
      `SELECT hex(encode(body)) AS bytes FROM lines WHERE exchange = '${A}' AND body IS NOT NULL ORDER BY part`,
    );
    const bytes = Buffer.from(body.toWellFormed()).toString('hex').toUpperCase();
    expect(found).toEqual([{ bytes }, { bytes }]);
    expect(await rows('SELECT * FROM lines')).toHaveLength(10);
    for (const view of ['exchanges', 'operations'])
      expect(await rows(`SELECT * FROM ${view}`)).toHaveLength(2);
  });

  it.each([
    '123',
    '"7"',
    '-1',
    '1.5',
    '1e400',
    '123456789012345678901234567890',
    '{"a":1}',
    '[]',
    'null',
    'true',
  ])('keeps the id %s as its JSON text', async (rpcId) => {
    await record(toolCall({ exchange: A, rpcId }));
    await open();
    expect(await rows('SELECT rpc_id, outcome FROM operations')).toEqual([{ rpc_id: rpcId, outcome: 'ok' }]);
  });

  it('reads names, claims, headers, sessions and causes that look like other types', async () => {
    const odd = ['2026-11-21', '1', 'null', 'true', '[1]', '{"a":1}', '\u0000', '1e999'];
    const drafts = odd.flatMap((text, n) => {
      const exchange = `01KAH3MBWD0G6R4Y1S8T2V5Z${10 + n}`;
      const principal = {
        ...ANONYMOUS,
        issuer: text,
        subject: text,
        name: text,
        client_id: text,
        groups: [text],
      };
      const session = { id: text, how: 'trace' } as const;
      const [request, response, result, end] = toolCall({ exchange, tool: text, principal, session });
      return [
        { ...request, protocol: text, client_info: { name: text, version: text } } as LineDraft,
        { ...response, content_coding: text } as LineDraft,
        { ...result, cause: text } as LineDraft,
        end,
      ];
    });
    await record(drafts);
    await open();
    expect(await rows('SELECT * FROM lines')).toHaveLength(2 + 4 * odd.length);
    const found = await rows(
      'SELECT principal.subject AS s, principal.groups[1] AS g, session.id AS i, target, cause FROM operations ORDER BY time',
    );
    expect(found).toEqual(odd.map((text) => ({ s: text, g: text, i: text, target: text, cause: text })));
  });

  it.each([
    [-32_602, '-32602'],
    [9_007_199_254_740_992, '9007199254740992'],
    [1e300, null],
    [-1e19, null],
  ])('reads the error code %d, or null when it fits no column', async (code, expected) => {
    const [request, response, result, end] = toolCall({ exchange: A });
    await record([request, response, { ...result, error_code: code } as LineDraft, end]);
    await open();
    expect(await rows("SELECT error_code FROM lines WHERE type = 'result'")).toEqual([
      { error_code: expected },
    ]);
    expect(await rows('SELECT * FROM lines')).toHaveLength(6);
  });

  it('reads lines of 1 MiB', async () => {
    const exchanges = Array.from({ length: 20 }, (_, n) => `01KAH3MBWD0G6R4Y1S8T2V5Z${10 + n}`);
    const requestBody = 'é"'.repeat(250_000);
    const responseBody = 'x'.repeat(1_047_000);
    await record(exchanges.flatMap((exchange) => toolCall({ exchange, requestBody, responseBody })));
    await open();
    expect(
      await rows(
        'SELECT count(*)::INTEGER AS n, max(length(body))::INTEGER AS longest FROM lines WHERE body IS NOT NULL',
      ),
    ).toEqual([{ n: 40, longest: 1_047_000 }]);
  });

  it('takes cluster, namespace and server for text and date for a date, and reads only what is asked for', async () => {
    await record([], { server: '123' });
    await open();
    expect(await rows('SELECT DISTINCT typeof(server) AS type FROM lines')).toEqual([{ type: 'VARCHAR' }]);
    await record([], {
      stream: '01KAH3M8ZK4T9V2B6XN5R0WCEB',
      server: '2026-11-21',
      startMs: START_MS + 86_400_000,
    });
    expect(
      await rows("SELECT server, date, type FROM lines WHERE date >= '2026-11-22' ORDER BY seq"),
    ).toEqual([
      { server: '2026-11-21', date: '2026-11-22', type: 'open' },
      { server: '2026-11-21', date: '2026-11-22', type: 'seal' },
    ]);
    const plan = JSON.stringify(await rows("EXPLAIN ANALYZE SELECT * FROM lines WHERE server = '123'"));
    expect(plan).toMatch(/Total Files Read: 1\b|Scanning Files: 1\/2/);
  });

  it('counts a segment once that was stored twice, and takes the copy when it stands alone', async () => {
    const built = createStreamBuilder({ stream: STREAM, startMs: START_MS });
    const first = built.segment(toolCall({ exchange: A }));
    const second = built.segment(toolCall({ exchange: B }), { last: true });
    const copyOf = (key: string) => key.replace('.jsonl', '.r1.jsonl');
    await store(
      createDirectoryStore(root),
      first,
      { ...first, key: copyOf(first.key) },
      { ...second, key: copyOf(second.key) },
    );
    await open();
    expect(await rows('SELECT seq::INTEGER AS seq FROM lines ORDER BY seq')).toEqual(
      Array.from({ length: 12 }, (_, seq) => ({ seq })),
    );
  });

  it('reads beside files that a put has not finished', async () => {
    await record([]);
    const [directory] = await Array.fromAsync(fs.glob(path.join(root, 'v1/segments/*/*/*/*')));
    await fs.writeFile(path.join(directory as string, '.put-1234'), 'half');
    await open();
    expect(await rows('SELECT count(*)::INTEGER AS n FROM lines')).toEqual([{ n: 2 }]);
  });
});
