/**
 * The keys that people write, in the resource, in the chart's values and in the recorder's file: none is a word that YAML 1.1, which `kubectl`
 * and Helm read, takes for a boolean (docs/adr/0010-applies-to.md).
 */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parse } from 'yaml';

/** YAML 1.1, https://yaml.org/type/bool.html */
const BOOLEANS = /^(?:y|yes|n|no|true|false|on|off)$/i;

/** Every name under `properties`, at any depth. */
function keysOf(schema: unknown): string[] {
  if (typeof schema !== 'object' || schema === null) return [];
  return Object.entries(schema).flatMap(([name, value]) => [
    ...(name === 'properties' && typeof value === 'object' && value !== null ? Object.keys(value) : []),
    ...keysOf(value),
  ]);
}

test.each([
  'crds/recordedmcpservers.yaml',
  'helm/mcp-recorder/values.schema.json',
  'docs/schema/configuration.schema.json',
])('no key of %s is a boolean to kubectl', (file) => {
  const keys = keysOf(
    parse(readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8'), { merge: true }),
  );
  expect(keys).toContain('appliesTo');
  expect(keys.filter((key) => BOOLEANS.test(key))).toEqual([]);
});
