/**
 * Owns rows as Parquet: typed columns, in groups of rows, so that memory does not grow with their number.
 */
import { fileWriter, ParquetWriter, type SchemaElement } from 'hyparquet-writer';
import { parseMicros } from '@mcp-recorder/recording/format/time';
import { cellsOf, COLUMNS, type ColumnType } from './columns.ts';
import type { Selection } from '../selection.ts';

/** Rows of a group: held in memory until it is written. */
const GROUP_ROWS = 10_000;

const TYPES: Record<ColumnType, Omit<SchemaElement, 'name'>> = {
  text: { type: 'BYTE_ARRAY', converted_type: 'UTF8' },
  integer: { type: 'INT64' },
  number: { type: 'DOUBLE' },
  time: {
    type: 'INT64',
    logical_type: { type: 'TIMESTAMP', isAdjustedToUTC: true, unit: 'MICROS' },
  },
};

/** Writes the rows to a file. @param file is replaced */
export async function writeParquet({ rows, about }: Selection, file: string): Promise<void> {
  const schema: SchemaElement[] = [
    { name: 'root', num_children: COLUMNS.length },
    ...COLUMNS.map(({ name, type }) => ({ name, ...TYPES[type], repetition_type: 'OPTIONAL' as const })),
  ];
  const kvMetadata = [{ key: 'mcp-recorder', value: JSON.stringify(about) }];
  const writer = new ParquetWriter({ writer: fileWriter(file), schema, kvMetadata });
  let group: (string | number | null)[][] = [];
  const flush = (): void => {
    writer.write({
      columnData: COLUMNS.map(({ name, type }, index) => ({
        name,
        data: group.map((cells) => valueOf(cells[index] ?? null, type)),
      })),
      rowGroupSize: GROUP_ROWS,
    });
    group = [];
  };
  for await (const row of rows()) {
    group.push(cellsOf(row));
    if (group.length >= GROUP_ROWS) flush();
  }
  if (group.length > 0) flush();
  writer.finish();
}

function valueOf(cell: string | number | null, type: ColumnType): unknown {
  if (cell === null) return null;
  if (type === 'time') return BigInt(parseMicros(String(cell)));
  return type === 'integer' ? BigInt(cell) : cell;
}
