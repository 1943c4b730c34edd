/**
 * Owns how the generators read crds/recordedmcpservers.yaml.
 * Invariant: the file is what the API server gets; everything said about the resource elsewhere is made from it.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { parse } from 'yaml';

/** The file, from the root of the repository. */
export const CRD_FILE = 'crds/recordedmcpservers.yaml';

/** What OpenAPI v3 lets the schema of a resource say, as far as ours says it. */
export interface Schema {
  title?: string;
  description?: string;
  type?: string;
  format?: string;
  enum?: string[];
  default?: unknown;
  required?: string[];
  properties?: Record<string, Schema>;
  additionalProperties?: Schema;
  items?: Schema;
  /** Any members. */
  'x-kubernetes-preserve-unknown-fields'?: boolean;
  'x-kubernetes-validations'?: { rule: string; message: string; fieldPath?: string }[];
  /** Of json-schema-to-typescript: the TypeScript type, as it stands. */
  tsType?: string;
}

export interface ResourceDefinition {
  group: string;
  version: string;
  kind: string;
  plural: string;
  shortNames: string[];
  columns: { name: string; description?: string; priority?: number }[];
  schema: Schema;
}

/** The YAML file as text. */
export function definitionText(): string {
  return readFileSync(path.join(import.meta.dirname, '..', CRD_FILE), 'utf8');
}

/** @throws when the file defines more or fewer versions than the one that the generators know how to describe */
export function readDefinition(): ResourceDefinition {
  const { spec } = parse(definitionText());
  if (spec.versions.length !== 1) throw new Error(`${CRD_FILE} must define exactly one version`);
  const [version] = spec.versions;
  return {
    group: spec.group,
    version: version.name,
    kind: spec.names.kind,
    plural: spec.names.plural,
    shortNames: spec.names.shortNames,
    columns: version.additionalPrinterColumns,
    schema: version.schema.openAPIV3Schema,
  };
}
