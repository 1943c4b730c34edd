/**
 * Owns the engines that run the shipped views in tests: DuckDB and ClickHouse, both in this process.
 */
import fs from 'node:fs/promises';
import path from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { Session } from 'chdb';

const SCHEMAS = path.join(import.meta.dirname, '../../schema');

/** A row with numbers, times and truth as text, in which engines agree. */
export type TextRow = Record<string, string | null>;

export interface Engine {
  rows(sql: string): Promise<TextRow[]>;
  close(): void;
}

/** @param folder for the engine's own files */
export async function openClickHouse(store: string, folder: string): Promise<Engine> {
  const session = new Session(folder);
  const schema = await fs.readFile(path.join(SCHEMAS, 'clickhouse.sql'), 'utf8');
  const here = schema.replaceAll("s3('https://BUCKET.s3.REGION.amazonaws.com/PREFIX/", `file('${store}/`);
  for (const statement of statementsOf(here)) session.query(statement);
  return {
    async rows(sql) {
      const text = session.query(sql, 'JSONEachRow').trim();
      return text === '' ? [] : text.split('\n').map((line) => asText(JSON.parse(line) as object));
    },
    close: () => session.cleanup(),
  };
}

export async function openDuckDb(store: string): Promise<Engine> {
  const instance = await DuckDBInstance.create(':memory:', { threads: '2' });
  const connection = await instance.connect();
  await connection.run(`SET VARIABLE store = '${store}'`);
  await connection.run(await fs.readFile(path.join(SCHEMAS, 'duckdb.sql'), 'utf8'));
  return {
    rows: async (sql) => (await connection.runAndReadAll(sql)).getRowObjectsJson().map(asText),
    close() {
      connection.closeSync();
      instance.closeSync();
    },
  };
}

/** The statements of a file, without its comments. */
export function statementsOf(sql: string): string[] {
  return sql
    .replaceAll(/^ *--.*\n/gm, '')
    .split(/;\n/)
    .filter((text) => text.trim() !== '');
}

function asText(row: object): TextRow {
  const text = (value: unknown) =>
    String(value)
      .replace(/(\.\d*?)0+$/, '$1')
      .replace(/\.$/, '');
  return Object.fromEntries(
    Object.entries(row).map(([name, value]) => [name, value === null ? null : text(value)]),
  );
}
