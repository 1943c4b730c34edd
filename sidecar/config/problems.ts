/**
 * Owns what is said of a file that the schema refuses.
 * Invariant: each fault is told with what was found and what would be right; never a credential.
 */
import { quoteGiven } from '@mcp-recorder/recording/store/s3-location';
import { z } from 'zod';
import { type KeyPath, keyText } from './configuration-error.ts';
import { configurationSchema } from './schema.ts';

/** The JSON Schema of the configuration file (draft 2020-12), as published in docs/schema/. */
export function configurationJsonSchema(): Record<string, unknown> {
  return {
    title: 'mcp-recorder configuration',
    ...z.toJSONSchema(configurationSchema, { io: 'input' }),
  };
}

/**
 * What the schema found wrong, a sentence each.
 * @param given the value that was checked
 */
export function describeIssues(
  issues: readonly z.core.$ZodIssue[],
  given: unknown,
): { path: KeyPath; message: string }[] {
  return issues.flatMap((issue) => {
    if (issue.code === 'unrecognized_keys') {
      const known = knownKeys(issue.path);
      return issue.keys.map((key) => ({
        path: [...issue.path, key],
        message: `unknown key; known here: ${known.join(', ')}`,
      }));
    }
    const found = valueAt(given, issue.path);
    if (found === undefined) return { path: issue.path, message: `missing; needs ${issue.message}` };
    return {
      path: issue.path,
      message: `found ${describeFound(found, issue.path, given)}; needs ${issue.message}`,
    };
  });
}

/** Where people may have put a secret in the place of the file that holds it, or of the key that checks it. */
const SECRET_PLACE = /^server\.credential\b|\bjwks\b/;

/** What stands in the file, short, on one line, without what may be a credential. */
function describeFound(value: unknown, path: KeyPath, given: unknown): string {
  if (value === null) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return Object.keys(value).length === 0 ? 'an empty mapping' : 'a mapping';
  if (SECRET_PLACE.test(keyText(path))) return 'another value';
  // What stands beside it: `--store s3://KEY:SECRET@bucket` is cut at a slash into bucket and prefix.
  const section = valueAt(given, path.slice(0, -1));
  const texts = typeof section === 'object' && section !== null ? Object.values(section) : [];
  const near = texts.filter((text) => typeof text === 'string').join(' ');
  const text = typeof value === 'string' ? quoteGiven(value, near) : String(value);
  const safe = text.replace(/(:\/\/[^?]*\?)[^"]*/, '$1***');
  return safe.length > 80 ? `${safe.slice(0, 77)}...` : safe;
}

function valueAt(value: unknown, path: KeyPath): unknown {
  return path.reduce(
    (at, key) => (typeof at === 'object' && at !== null ? Reflect.get(at, key) : undefined),
    value,
  );
}

function knownKeys(path: KeyPath): string[] {
  let schema: unknown = configurationJsonSchema();
  for (const key of path) {
    schema = valueAt(schema, typeof key === 'number' ? ['items'] : ['properties', key]);
  }
  return Object.keys(valueAt(schema, ['properties']) ?? {});
}
