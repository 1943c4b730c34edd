/**
 * Owns the parts of docs/api.md that the resource's schema itself says: fields, defaults, what is refused, columns.
 * Invariant: the prose around them is left as it is.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { readDefinition, type ResourceDefinition, type Schema } from './resource-schema.ts';

const page = path.join(import.meta.dirname, '../docs/api.md');

/** Fields that Kubernetes defines and documents: they get one row. */
const KUBERNETES: Record<string, string> = {
  'spec.selector': 'LabelSelector',
  'spec.traffic.clients[]': 'NetworkPolicyPeer',
  'status.conditions[]': 'Condition',
};

interface Field {
  path: string;
  schema: Schema;
  required: boolean;
}

/** Every field below `schema`, parents first. */
function fieldsOf(schema: Schema, at: string): Field[] {
  const inner = Object.entries(schema.properties ?? {}).flatMap(([name, field]) => {
    const here = `${at}.${name}`;
    const required = schema.required?.includes(name) ?? false;
    return [{ path: here, schema: field, required }, ...fieldsOf(field, here)];
  });
  return schema.items === undefined ? inner : [...inner, ...fieldsOf(schema.items, `${at}[]`)];
}

function typeOf(schema: Schema, at: string): string {
  const known = KUBERNETES[at];
  if (known !== undefined) return known;
  if (schema.enum !== undefined) return schema.enum.map((word) => `\`${word}\``).join(', ');
  if (schema.items !== undefined) return `list of ${typeOf(schema.items, `${at}[]`)}`;
  return schema.format === 'date-time' ? 'time' : (schema.type ?? 'any');
}

/** `|` would end the cell. */
const cell = (text: string) => text.replaceAll('|', '\\|').replaceAll('\n', ' ');

/** @param byDefault whether who writes the fields may leave some out */
function fieldTable(schema: Schema, at: string, byDefault: boolean): string {
  const withinKubernetes = (field: Field) =>
    Object.keys(KUBERNETES).some((known) => field.path.startsWith(`${known}.`));
  const rows = fieldsOf(schema, at)
    .filter((field) => !withinKubernetes(field))
    .map(({ path: here, schema: field, required }) => {
      const cells = [`\`${here}\``, typeOf(field, here), ...(byDefault ? [defaultOf(field, required)] : [])];
      return `| ${[...cells, cell(field.description ?? '')].join(' | ')} |`;
    });
  const head = byDefault
    ? ['| Field | Type | Default | |', '| --- | --- | --- | --- |']
    : ['| Field | Type | |', '| --- | --- | --- |'];
  return [...head, ...rows].join('\n');
}

function defaultOf({ default: given }: Schema, required: boolean): string {
  if (given !== undefined && typeof given !== 'object') return `\`${String(given)}\``;
  return required ? 'required' : '';
}

/** Bounds of lists and texts are told by the API server in its own words. */
function refusals(schema: Schema): string {
  const root: Field = { path: 'metadata.name', schema: { ...schema, properties: {} }, required: true };
  const rows = [root, ...fieldsOf(schema, '').map((field) => ({ ...field, path: field.path.slice(1) }))]
    .flatMap((field) => [field, ...itemsOf(field)])
    .flatMap(({ path: at, schema: { 'x-kubernetes-validations': rules = [] } }) =>
      rules.map(({ message, fieldPath = '' }) => `| \`${at}${fieldPath}\` | ${cell(message)} |`),
    );
  return ['| Field | Message |', '| --- | --- |', ...new Set(rows)].join('\n');
}

function itemsOf({ path: at, schema: { items } }: Field): Field[] {
  return items === undefined ? [] : [{ path: `${at}[]`, schema: items, required: true }];
}

function resourceTable({ group, version, kind, plural, shortNames, columns }: ResourceDefinition): string {
  const names = (wide: boolean) =>
    columns.filter(({ priority = 0 }) => priority > 0 === wide).map(({ name }) => name);
  return [
    `- API: \`${group}/${version}\`, kind \`${kind}\`, in a namespace`,
    `- \`kubectl get ${plural}\`, for short \`kubectl get ${shortNames.join(', ')}\`: ${names(false).join(', ')}; with \`-o wide\` also ${names(true).join(', ')}`,
  ].join('\n');
}

/** The page with what the schema says today in its blocks, which comments name. */
export function apiPage(): string {
  const definition = readDefinition();
  const { schema } = definition;
  const contents: Record<string, () => string> = {
    resource: () => resourceTable(definition),
    'fields: spec': () => fieldTable(schema.properties?.['spec'] ?? {}, 'spec', true),
    'fields: status': () => fieldTable(schema.properties?.['status'] ?? {}, 'status', false),
    refusals: () => refusals(schema),
  };
  const block = /(<!-- (?!end)([a-z]+(?:: [a-z]+)?) -->\n)[^]*?(<!-- end of [a-z]+ -->)/g;
  return readFileSync(page, 'utf8').replace(block, (_all, begin: string, name: string, end: string) => {
    const content = contents[name];
    if (content === undefined) throw new Error(`docs/api.md asks for ${name}, which nobody writes`);
    return `${begin}\n${content()}\n\n${end}`;
  });
}
