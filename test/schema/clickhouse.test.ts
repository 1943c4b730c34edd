import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { Session } from 'chdb';
import { DuckDBInstance } from '@duckdb/node-api';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const ROOT = path.join(import.meta.dirname, '../..');
const GOLDEN = path.join(ROOT, 'test/fixtures/store');

let folder: string;
let store: string;
let clickhouse: Session;
let instance: DuckDBInstance;
beforeAll(async () => {
  folder = await fs.mkdtemp(path.join(os.tmpdir(), 'mcp-recorder-clickhouse-'));
  store = path.join(folder, 'store');
  await fs.cp(GOLDEN, store, { recursive: true });
  clickhouse = new Session(path.join(folder, 'clickhouse'));
  const schema = await fs.readFile(path.join(ROOT, 'schema/clickhouse.sql'), 'utf8');
  const here = schema.replaceAll("s3('https://BUCKET.s3.REGION.amazonaws.com/PREFIX/", `file('${store}/`);
  for (const statement of here.replaceAll(/^ *--.*\n/gm, '').split(/;\n/)) {
    if (statement.trim() !== '') clickhouse.query(statement);
  }
  instance = await DuckDBInstance.create(':memory:', { threads: '2' });
});
afterAll(async () => {
  clickhouse.cleanup();
  instance.closeSync();
  await fs.rm(folder, { recursive: true });
});

type Row = Record<string, unknown>;

/** Numbers, times and truth as one text, whichever engine wrote them. */
const comparable = (row: Row): Row =>
  Object.fromEntries(
    Object.entries(row).map(([name, value]) => [
      name,
      value === null
        ? null
        : String(value)
            .replace(/(\.\d*?)0+$/, '$1')
            .replace(/\.$/, ''),
    ]),
  );

function inClickHouse(sql: string): Row[] {
  const text = clickhouse.query(sql, 'JSONEachRow').trim();
  return text === '' ? [] : text.split('\n').map((line) => comparable(JSON.parse(line) as Row));
}

async function inDuckDb(sql: string): Promise<Row[]> {
  const connection = await instance.connect();
  await connection.run(`SET VARIABLE store = '${store}'`);
  await connection.run(await fs.readFile(path.join(ROOT, 'schema/duckdb.sql'), 'utf8'));
  const rows = (await connection.runAndReadAll(sql)).getRowObjectsJson() as Row[];
  connection.closeSync();
  return rows.map(comparable);
}

describe('schema/clickhouse.sql', () => {
  it.each([
    'SELECT stream, seq, time, type, exchange, part, cluster, namespace, server, body, wire_bytes, error_code, cut FROM lines ORDER BY stream, seq',
    `SELECT operation, stream, cluster, namespace, server, date, time, result_time, exchange, result_exchange, principal.how AS how, principal.name AS name,
       session.id AS session, session.how AS session_how, kind, sender, rpc_id, method, target, continues, outcome, cause, error_code, duration_us
     FROM operations ORDER BY time, operation, result_time`,
    `SELECT exchange, stream, cluster, namespace, server, date, time, principal.how AS who, session.id AS session, protocol, method, target, client_address,
       status, how, answered_by, bytes_in, bytes_out, released_bytes, duration_us, parts
     FROM exchanges ORDER BY exchange`,
    'SELECT stream, seq, cluster, namespace, server, date, time, reason, source, principal.how AS who, requests, first_time, last_time FROM denials',
    'SELECT stream, seq, cluster, namespace, server, date, time, cause, first_time, last_time, exchanges, exact FROM gaps',
  ])('answers as schema/duckdb.sql does: %s', async (sql) => {
    const found = inClickHouse(sql);
    expect(found).toEqual(await inDuckDb(sql));
    expect(found.length).toBeGreaterThan(0);
  });

  it('counts a segment once that was stored twice, and reads only the days that are asked for', async () => {
    const directory = path.join(
      store,
      'v1/segments/cluster=local/namespace=local/server=github/date=2026-11-21',
    );
    const [name = ''] = await fs.readdir(directory);
    const count = (where: string): unknown =>
      inClickHouse(`SELECT count() AS n FROM lines WHERE ${where}`)[0]?.['n'];
    const before = count("server = 'github'");
    const copy = path.join(directory, name.replace('.jsonl', '.r1.jsonl'));
    await fs.copyFile(path.join(directory, name), copy);
    expect(count("server = 'github'")).toBe(before);
    await fs.rename(path.join(directory, name), path.join(folder, name));
    expect(count("server = 'github'")).toBe(before);
    await fs.rename(path.join(folder, name), path.join(directory, name));
    await fs.rm(copy);
    // What is not asked for can't even be read.
    const other = directory.replace('2026-11-21', '2026-11-22');
    await fs.mkdir(other);
    await fs.writeFile(path.join(other, name), 'no zstd');
    expect(() => count('1 = 1')).toThrow();
    expect(count("date = '2026-11-21' AND server = 'github'")).toBe(before);
    await fs.rm(other, { recursive: true });
  });
});
