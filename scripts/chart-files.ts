/**
 * Owns what of helm/mcp-recorder is made from other files: the CRD among its templates, and the table of values in its README.
 * Invariants: the chart installs the CRD of crds/ and no other; every value that the schema knows stands in the table, with its default.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { parse } from 'yaml';
import { CRD_FILE, definitionText } from './resource-schema.ts';

const chart = path.join(import.meta.dirname, '../helm/mcp-recorder');

/**
 * The CRD as a template, so that helm upgrades it (what stands in a chart's crds/ is installed once and never again).
 * @throws when the CRD's text means something to helm, or has lost the place for its labels
 */
export function crdTemplate(): string {
  const text = definitionText();
  const place = '  annotations:\n';
  if (text.includes('{{')) throw new Error(`${CRD_FILE}: helm would take {{ for its own`);
  if (!text.includes(place)) throw new Error(`${CRD_FILE}: its metadata must have annotations`);
  const labelled = text.replace(
    place,
    `  labels:\n    {{- include "mcp-recorder.labels" . | nindent 4 }}\n${place}`,
  );
  return `{{- /* Written from ${CRD_FILE}; run: npm run generate */ -}}\n{{- if .Values.crds.install }}\n${labelled}{{- end }}\n`;
}

interface ValueSchema {
  description?: string;
  properties?: Record<string, ValueSchema>;
  additionalProperties?: ValueSchema | boolean;
  enum?: string[];
}

/** Rows for every value that has a description, deepest keys first to be described win over their parents. */
function rows(schema: ValueSchema, defaults: unknown, at: string): string[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, value]) => {
    const key = at === '' ? name : `${at}.${name}`;
    const given: unknown = (defaults as Record<string, unknown> | null | undefined)?.[name];
    if (value.properties !== undefined && value.description === undefined) return rows(value, given, key);
    const words = value.enum === undefined ? '' : value.enum.map((word) => `\`${word}\``).join(', ');
    const said = [value.description, words].filter(Boolean).join(' ').replaceAll('|', '\\|');
    return [`| \`${key}\` | ${given === undefined ? '' : `\`${JSON.stringify(given)}\``} | ${said} |`];
  });
}

/** The README with the table of values of today in its blocks. */
export function chartReadme(): string {
  const schema: ValueSchema = JSON.parse(readFileSync(path.join(chart, 'values.schema.json'), 'utf8'));
  const defaults: unknown = parse(readFileSync(path.join(chart, 'values.yaml'), 'utf8'));
  const store = schema.properties?.['stores']?.additionalProperties as ValueSchema;
  const head = ['| Value | Default | |', '| --- | --- | --- |'];
  const tables: Record<string, string> = {
    values: [...head, ...rows(schema, defaults, '')].join('\n'),
    store: [...head, ...rows(store, undefined, '')].join('\n'),
  };
  const block = /(<!-- (values|store) -->\n)[^]*?(<!-- end of \2 -->)/g;
  return readFileSync(path.join(chart, 'README.md'), 'utf8').replace(
    block,
    (_all, begin: string, name: string, end: string) => `${begin}\n${tables[name]}\n\n${end}`,
  );
}
