import fs from 'node:fs/promises';
import path from 'node:path';
import { HiveSQL, TrinoSQL } from 'dt-sql-parser';
import { describe, expect, it } from 'vitest';
import { statementsOf } from './engines.ts';

const SCHEMAS = path.join(import.meta.dirname, '../../schema');
const read = (name: string) => fs.readFile(path.join(SCHEMAS, name), 'utf8');
const athena = await read('athena.sql');
const statements = statementsOf(athena);

/** What DuckDB's and Athena's texts call columns of the same view. */
function columnsOf(text: string, view: string): string[] {
  const [, body = ''] = new RegExp(`VIEW ${view} AS\\n([^]*?)(?:;|$(?![^]))`).exec(text) ?? [];
  const select = body.slice(body.lastIndexOf('\nSELECT') + 1 || 0);
  return [...select.matchAll(/ AS "?([a-z_]+)"?,?$/gm)].map(([, name = '']) => name);
}

describe('schema/athena.sql', () => {
  // Athena itself runs nowhere but there: its DDL is Hive's and its queries are Trino's.
  it.each(
    statements.map((statement) => [/(?:TABLE IF NOT EXISTS|VIEW) ([a-z]+)/.exec(statement)?.[1], statement]),
  )('has %s in the grammar of its engine', (_name, statement = '') => {
    const parser = statement.includes('EXTERNAL TABLE') ? new HiveSQL() : new TrinoSQL();
    expect(parser.validate(statement)).toEqual([]);
  });

  it('is read by parsers that find mistakes', () => {
    expect(new TrinoSQL().validate('CREATE OR REPLACE VIEW x AS SELECT a FROM WHERE b')).not.toEqual([]);
    expect(new HiveSQL().validate('CREATE EXTERNAL TABLE x (a struct<b:string)')).not.toEqual([]);
  });

  it('has the columns of a line that DuckDB has', async () => {
    const duckdb = await read('duckdb.sql');
    const names = [...duckdb.slice(0, duckdb.indexOf('VIEW exchanges')).matchAll(/^ {4}([a-z_]+): '/gm)].map(
      ([, name]) => name,
    );
    const table = [...(statements[0] ?? '').matchAll(/^ {2}`([a-z_]+)` /gm)].map(([, name]) => name);
    expect(table).toEqual(names);
    expect(names.length).toBeGreaterThan(35);
  });

  it.each(['exchanges', 'operations', 'denials', 'gaps'])(
    'has the view %s as DuckDB has it',
    async (view) => {
      const columns = columnsOf(athena, view);
      expect(columns).toEqual(columnsOf(await read('duckdb.sql'), view));
      expect(columns.length).toBeGreaterThan(4);
    },
  );
});

it('docs/questions.md asks in the grammar of Trino, with "date" in quotes', async () => {
  const page = await fs.readFile(path.join(SCHEMAS, '../docs/questions.md'), 'utf8');
  const asked = [...page.matchAll(/```sql\n([^]*?)```/g)].map(([, sql = '']) =>
    sql.replaceAll(/\bdate\b/g, '"date"'),
  );
  for (const sql of asked) expect([sql, new TrinoSQL().validate(sql)]).toEqual([sql, []]);
  expect(asked).toHaveLength(10);
});
