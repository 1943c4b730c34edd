/**
 * Owns operator/api/recorded-mcp-server.ts: the TypeScript types of the resource, made from its schema.
 * Invariant: the types say what the API server gives: it fills in defaults, so a field with a default is always there.
 */
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { compile } from 'json-schema-to-typescript';
import { CRD_FILE, readDefinition, type Schema } from './resource-schema.ts';

/** Where the types are named, by path in the schema. */
const NAMES: Record<string, string> = {
  spec: 'RecordedMCPServerSpec',
  'spec.server.credential': 'ServerCredential',
  'spec.server.credential.header.secretKeyRef': 'SecretKey',
  'spec.storage.s3': 'S3Storage',
  'spec.auth': 'Auth',
  'spec.auth.oidc[]': 'OidcIssuer',
  'spec.rules[]': 'AccessRule',
  'spec.masking': 'Masking',
  'spec.masking.rules[]': 'MaskingRule',
  'spec.traffic': 'Traffic',
  'spec.traffic.relocate': 'Relocation',
  status: 'RecordedMCPServerStatus',
  'status.conditions[]': 'Condition',
};
/** What Kubernetes has a type for, by path in the schema. */
const KUBERNETES: Record<string, string> = {
  metadata: 'ObjectMeta',
  'spec.selector': 'LabelSelector',
  'spec.traffic.clients[]': 'NetworkPolicyPeer',
};

/** The schema as the generator wants it: named, with what has a default among the required fields. */
function describe(schema: Schema, at: string): Record<string, unknown> {
  const tsType = KUBERNETES[at];
  const text = schema.description === undefined ? {} : { description: schema.description };
  if (tsType !== undefined) return { ...text, tsType };
  if (schema['x-kubernetes-preserve-unknown-fields'] === true) {
    return { ...text, tsType: 'Record<string, unknown>' };
  }
  const fields = Object.entries(schema.properties ?? {});
  const defaulted = fields.filter(([, field]) => field.default !== undefined).map(([name]) => name);
  return {
    ...text,
    type: schema.type,
    ...(schema.enum === undefined ? {} : { enum: schema.enum }),
    ...(NAMES[at] === undefined ? {} : { title: NAMES[at] }),
    ...(schema.items === undefined ? {} : { items: describe(schema.items, `${at}[]`) }),
    ...(fields.length === 0
      ? {}
      : {
          properties: Object.fromEntries(
            fields.map(([name, field]) => [name, describe(field, at === '' ? name : `${at}.${name}`)]),
          ),
          required: [...new Set([...(schema.required ?? []), ...defaulted])],
        }),
  };
}

/**
 * The module, as the formatter leaves it.
 * @throws when the formatter can't be run
 */
export async function resourceTypes(): Promise<string> {
  const { group, version, kind, schema } = readDefinition();
  const resource = describe({ ...schema, required: ['apiVersion', 'kind', 'metadata', 'spec'] }, '');
  const { properties } = resource as { properties: Record<string, unknown> };
  properties['apiVersion'] = { enum: [`${group}/${version}`] };
  properties['kind'] = { enum: [kind] };
  const types = await compile(resource, kind, {
    additionalProperties: false,
    bannerComment: '',
    ignoreMinAndMaxItems: true,
  });
  const module = `/**
 * Owns the types of ${kind}. Written by scripts/resource-types.ts from ${CRD_FILE}; run: npm run generate
 * Invariant: a resource as the API server gives it. Fields with a default are required here, because the API server fills them in;
 * who writes a resource by hand may leave them out.
 */
import type { LabelSelector, ObjectMeta } from 'kubernetes-types/meta/v1';
import type { NetworkPolicyPeer } from 'kubernetes-types/networking/v1';

${types}`;
  const formatted = spawnSync('biome', ['format', '--stdin-file-path=recorded-mcp-server.ts'], {
    input: module,
    encoding: 'utf8',
    cwd: path.join(import.meta.dirname, '..'),
  });
  if (formatted.status !== 0) throw new Error(`biome can't format the types: ${formatted.stderr}`);
  return formatted.stdout;
}
