/**
 * Owns the way from a YAML file and flags to the configuration that the recorder runs on.
 * Invariant: what is returned was checked whole; the digest names exactly what is in force, wherever it was given.
 */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { isMap, isNode, isScalar, LineCounter, parseDocument } from 'yaml';
import { ConfigurationError, describeIssues, type KeyPath, type Problem } from './problems.ts';
import { type CheckedFile, type Configuration, configurationSchema } from './schema.ts';

/** Flags of `mcp-recorder record`; each overrides its key of the file. */
export interface ConfigurationFlags {
  upstream?: string | undefined;
  store?: string | undefined;
  name?: string | undefined;
  spool?: string | undefined;
  listen?: string | undefined;
}

const FLAG_PATHS = {
  upstream: ['server', 'url'],
  store: ['storage', 'directory'],
  name: ['name'],
  spool: ['recording', 'spool', 'directory'],
  listen: ['listen'],
} as const satisfies Record<keyof ConfigurationFlags, KeyPath>;

type Section = Record<PropertyKey, unknown>;

/** The file's content, and the way back from a key to its line. */
interface ParsedFile {
  content: unknown;
  lineOf(path: KeyPath): number | null;
}

/**
 * Reads the configuration. Relative paths count from the file's directory, those of flags from the working directory.
 * @throws ConfigurationError with every problem found
 */
export function loadConfiguration(from: {
  file?: string | undefined;
  flags?: ConfigurationFlags;
}): Configuration {
  const { file = null, flags = {} } = from;
  const parsed: ParsedFile = file === null ? { content: {}, lineOf: () => null } : readFile(file);
  const base = file === null ? process.cwd() : path.dirname(path.resolve(file));
  const given = withFlags(parsed.content, flags);
  const checked = configurationSchema.safeParse(given);

  const faults = checked.success ? [] : describeIssues(checked.error.issues, given);
  const problems: Problem[] = faults.map((fault) => {
    const flag = flagOf(fault.path, flags);
    const key = fault.path.map(String).join('.');
    return flag === null
      ? { path: key, line: parsed.lineOf(fault.path), message: fault.message + flagHint(fault.path) }
      : { path: `--${flag}`, line: null, message: fault.message };
  });
  if (checked.success) {
    const { configuration, problem } = complete(checked.data, (directory, flag) =>
      path.resolve(flags[flag] === undefined ? base : process.cwd(), directory),
    );
    if (problem === null) return configuration;
    problems.push({ ...problem, line: parsed.lineOf(problem.path.split('.')) });
  }
  throw new ConfigurationError(file, problems);
}

/** Fills in the defaults that depend on other keys. */
function complete(
  checked: CheckedFile,
  resolve: (directory: string, flag: 'store' | 'spool') => string,
): { configuration: Configuration; problem: Pick<Problem, 'path' | 'message'> | null } {
  const { cluster, namespace, listen, server, recording, drain, limits, log } = checked;
  const name = checked.name ?? nameOfHost(server.url.origin);
  const storage = resolve(checked.storage.directory, 'store');
  const { directory, sizeLimit, allowTmpfs } = recording.spool;
  const effective: Omit<Configuration, 'digest'> = {
    name,
    cluster,
    namespace,
    listen,
    server: server.url,
    storage: { kind: 'directory', location: storage, directory: storage },
    recording: {
      commit: recording.commit,
      onFailure: recording.onFailure,
      maxUploadLagMs: recording.maxUploadLag,
      maxRequestBytes: recording.maxRequestBytes,
      spool: {
        directory: directory === undefined ? path.join(storage, 'spool', name) : resolve(directory, 'spool'),
        sizeLimitBytes: sizeLimit,
        allowTmpfs,
      },
    },
    // Loopback, whatever the listener's host: what stands there is for the operator, not for clients.
    status: { listen: checked.status.listen ?? { host: '127.0.0.1', port: nextPort(listen.port) } },
    drain: { timeoutMs: drain.timeout },
    limits: { memoryBytes: limits.memory },
    log,
  };
  const problem =
    limits.memory < recording.maxRequestBytes
      ? {
          path: 'limits.memory',
          message: `found ${limits.memory} bytes; needs at least recording.maxRequestBytes (${recording.maxRequestBytes}), or no such request could pass`,
        }
      : null;
  return { configuration: { ...effective, digest: digestOf(effective) }, problem };
}

/** The default name: host and port of the server, every other character turned into `-`. */
function nameOfHost(origin: string): string {
  const name = new URL(origin).host
    .replace(/[^a-z0-9.-]+/g, '-')
    .slice(0, 63)
    .replace(/^[.-]+|[.-]+$/g, '');
  return name === '' ? 'server' : name;
}

function nextPort(port: number): number {
  return port === 0 ? 0 : port === 65_535 ? port - 1 : port + 1;
}

/** SHA-256 of the JSON text with sorted keys: equal configurations have equal digests. */
function digestOf(effective: Omit<Configuration, 'digest'>): string {
  const canonical = JSON.stringify(effective, (_key, value: unknown) =>
    typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value).sort()) : value,
  );
  return `sha256:${createHash('sha256').update(canonical).digest('hex')}`;
}

function readFile(file: string): ParsedFile {
  let text: string;
  try {
    text = fs.readFileSync(file, 'utf8');
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new ConfigurationError(file, [{ path: '', line: null, message: `can't be read: ${why}` }]);
  }
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  if (document.errors.length > 0) {
    const problems = document.errors.map((error) => {
      const { line, col } = lines.linePos(error.pos[0]);
      return { path: '', line, message: `no valid YAML (column ${col}): ${error.message}` };
    });
    throw new ConfigurationError(file, problems);
  }
  return {
    content: document.contents === null ? {} : document.toJS(),
    lineOf(keys) {
      const parent = document.getIn(keys.slice(0, -1).map(String), true);
      const pair = isMap(parent)
        ? parent.items.find(({ key }) => isScalar(key) && String(key.value) === String(keys.at(-1)))
        : undefined;
      const at = isNode(pair?.key) ? pair.key.range : null;
      return at == null ? null : lines.linePos(at[0]).line;
    },
  };
}

/** The file's content with the flags put in; the two sections without defaults exist, so that their keys are asked for. */
function withFlags(content: unknown, flags: ConfigurationFlags): unknown {
  if (!isSection(content)) return content;
  const merged = structuredClone(content);
  for (const section of ['server', 'storage']) merged[section] ??= {};
  for (const [flag, keys] of Object.entries(FLAG_PATHS)) {
    const value = flags[flag as keyof ConfigurationFlags];
    if (value !== undefined) put(merged, keys, value);
  }
  return merged;
}

function put(target: Section, keys: KeyPath, value: string): void {
  const [key, ...rest] = keys;
  if (key === undefined) return;
  if (rest.length === 0) {
    target[key] = value;
    return;
  }
  target[key] ??= {};
  const inner = target[key];
  // Anything else there is a fault that the schema tells.
  if (isSection(inner)) put(inner, rest, value);
}

function isSection(value: unknown): value is Section {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function flagOf(keys: KeyPath, flags: ConfigurationFlags): keyof ConfigurationFlags | null {
  const flag = flagFor(keys);
  return flag !== null && flags[flag] !== undefined ? flag : null;
}

function flagFor(keys: KeyPath): keyof ConfigurationFlags | null {
  const found = Object.entries(FLAG_PATHS).find(([, path]) => path.join('.') === keys.map(String).join('.'));
  return found === undefined ? null : (found[0] as keyof ConfigurationFlags);
}

function flagHint(keys: KeyPath): string {
  const flag = flagFor(keys);
  return flag === null ? '' : ` (or give --${flag})`;
}
