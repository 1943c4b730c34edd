import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Engine, openClickHouse, openDuckDb } from './engines.ts';

const GOLDEN = path.join(import.meta.dirname, '../fixtures/store');

let folder: string;
let store: string;
let clickhouse: Engine;
let duckdb: Engine;
beforeAll(async () => {
  folder = await fs.mkdtemp(path.join(os.tmpdir(), 'mcp-recorder-clickhouse-'));
  store = path.join(folder, 'store');
  await fs.cp(GOLDEN, store, { recursive: true });
  clickhouse = await openClickHouse(store, path.join(folder, 'clickhouse'));
  duckdb = await openDuckDb(store);
});
afterAll(async () => {
  clickhouse.close();
  duckdb.close();
  await fs.rm(folder, { recursive: true });
});

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
    const found = await clickhouse.rows(sql);
    expect(found).toEqual(await duckdb.rows(sql));
    expect(found.length).toBeGreaterThan(0);
  });

  it('counts a segment once that was stored twice, and reads only the days that are asked for', async () => {
    const directory = path.join(
      store,
      'v1/segments/cluster=local/namespace=local/server=github/date=2026-11-21',
    );
    const [name = ''] = await fs.readdir(directory);
    const count = async (where: string) =>
      (await clickhouse.rows(`SELECT count() AS n FROM lines WHERE ${where}`))[0]?.['n'];
    const before = await count("server = 'github'");
    const copy = path.join(directory, name.replace('.jsonl', '.r1.jsonl'));
    await fs.copyFile(path.join(directory, name), copy);
    expect(await count("server = 'github'")).toBe(before);
    await fs.rename(path.join(directory, name), path.join(folder, name));
    expect(await count("server = 'github'")).toBe(before);
    await fs.rename(path.join(folder, name), path.join(directory, name));
    await fs.rm(copy);
    // What is not asked for can't even be read.
    const other = directory.replace('2026-11-21', '2026-11-22');
    await fs.mkdir(other);
    await fs.writeFile(path.join(other, name), 'no zstd');
    await expect(count('1 = 1')).rejects.toThrow();
    expect(await count("date = '2026-11-21' AND server = 'github'")).toBe(before);
    await fs.rm(other, { recursive: true });
  });
});
