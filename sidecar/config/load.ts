/**
 * Owns the way from a YAML file and flags to the configuration that the recorder runs on.
 * Invariant: what is returned was checked whole; the digest names exactly what is in force, wherever it was given.
 */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { type S3StoreOptions, s3Location } from '@mcp-recorder/recording/store/s3-options';
import { isMap, isNode, isScalar, isSeq, LineCounter, parseDocument } from 'yaml';
import { type ConfigurationFlags, flagHint, flagThatGave, withFlags } from './flags.ts';
import { ConfigurationError, type KeyPath, keyText, type Problem } from './configuration-error.ts';
import { credentialOf } from './credential-schema.ts';
import { describeIssues } from './problems.ts';
import { type CheckedFile, type Configuration, configurationSchema, type Storage } from './schema.ts';

/** The file's content, and the way back from a key to its line. */
export interface ParsedFile {
  content: unknown;
  lineOf(path: KeyPath): number | null;
}

/** Where a configuration comes from. */
export interface ConfigurationSource {
  file?: string | undefined;
  /** The file's content, from who has read it already. */
  text?: string;
  flags?: ConfigurationFlags;
  /** Only tells where the state of this user goes. */
  environment?: Readonly<Record<string, string | undefined>>;
}

/**
 * Reads the configuration. Relative paths count from the file's directory, those of flags from the working directory.
 * @throws ConfigurationError with every problem found
 */
export function loadConfiguration(from: ConfigurationSource): Configuration {
  return readConfiguration(from).configuration;
}

/** As `loadConfiguration`, with the way back from a key to its line, for who finds more. */
export function readConfiguration(from: ConfigurationSource): {
  configuration: Configuration;
  file: string | null;
  lineOf: ParsedFile['lineOf'];
} {
  const { file = null, flags = {}, environment = process.env } = from;
  const parsed: ParsedFile =
    file === null ? { content: {}, lineOf: () => null } : parseFile(file, from.text ?? readFile(file));
  const base = file === null ? process.cwd() : path.dirname(path.resolve(file));
  const { content: given, problems } = withFlags(parsed.content, flags);
  const checked = configurationSchema.safeParse(given);

  const faults = checked.success ? [] : describeIssues(checked.error.issues, given);
  for (const fault of faults) {
    const flag = flagThatGave(fault.path, flags);
    const key = keyText(fault.path);
    problems.push(
      flag === null
        ? { path: key, line: parsed.lineOf(fault.path), message: fault.message + flagHint(fault.path) }
        : { path: flag, line: null, message: fault.message },
    );
  }
  if (checked.success && problems.length === 0) {
    const { configuration, problem } = complete(
      checked.data,
      (given, flag) => path.resolve(flag !== null && flags[flag] !== undefined ? process.cwd() : base, given),
      environment,
    );
    if (problem === null) return { configuration, file, lineOf: parsed.lineOf };
    problems.push({ ...problem, line: parsed.lineOf(problem.path.split('.')) });
  }
  throw new ConfigurationError(file, problems);
}

/** A path of the file or of a flag made absolute; `flag`: the one that may have given it. */
type Resolve = (given: string, flag: 'store' | 'spool' | 's3Ca' | null) => string;

/** Fills in the defaults that depend on other keys. */
function complete(
  checked: CheckedFile,
  resolve: Resolve,
  environment: Readonly<Record<string, string | undefined>>,
): { configuration: Configuration; problem: Pick<Problem, 'path' | 'message'> | null } {
  const { cluster, namespace, labels, listen, server, auth, rules, masking } = checked;
  const { recording, drain, limits, log } = checked;
  const name = checked.name ?? nameOfHost(server.url.origin);
  const storage = storageOf(checked.storage, resolve);
  const { directory, sizeLimit, allowTmpfs } = recording.spool;
  const { operatorCa, live: readers } = checked.status;
  const spool =
    directory !== undefined
      ? resolve(directory, 'spool')
      : storage.kind === 'directory'
        ? path.join(storage.directory, 'spool', name)
        : path.join(stateDirectory(environment), 'mcp-recorder', 'spool', name);
  const effective: Omit<Configuration, 'digest'> = {
    name,
    cluster,
    namespace,
    labels,
    listen,
    server: {
      ...server.url,
      credential:
        server.credential === undefined
          ? null
          : credentialOf(server.credential, (given) => resolve(given, null)),
      // With Enforce the token is for the recorder; a server that checks tokens itself needs it.
      callerToken: server.callerToken ?? (auth.mode === 'Enforce' ? 'Remove' : 'Forward'),
    },
    auth,
    rules,
    masking,
    storage,
    recording: {
      commit: recording.commit,
      onFailure: recording.onFailure,
      maxUploadLagMs: recording.maxUploadLag,
      maxRequestBytes: recording.maxRequestBytes,
      spool: { directory: spool, sizeLimitBytes: sizeLimit, allowTmpfs },
    },
    // Loopback, whatever the listener's host: what stands there is for the operator, not for clients.
    status: {
      listen: checked.status.listen ?? { host: '127.0.0.1', port: nextPort(listen.port) },
      ...(operatorCa === undefined ? {} : { tls: { operatorCa } }),
      ...(readers === undefined ? {} : { live: { tokenFile: resolve(readers.tokenFile, null) } }),
    },
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

function storageOf({ directory, s3 }: CheckedFile['storage'], resolve: Resolve): Storage {
  if (s3 === undefined) {
    const location = resolve(directory ?? '', 'store');
    return { kind: 'directory', location, directory: location };
  }
  const { bucket, prefix = '', pathStyle, credentialFiles: files, encryption, objectLock } = s3;
  const options: S3StoreOptions = {
    bucket,
    prefix,
    region: s3.region ?? null,
    endpoint: s3.endpoint ?? null,
    pathStyle,
    caFile: s3.caFile === undefined ? null : resolve(s3.caFile, 's3Ca'),
    credentialFiles:
      files === undefined
        ? null
        : {
            accessKeyId: resolve(files.accessKeyId, null),
            secretAccessKey: resolve(files.secretAccessKey, null),
            sessionToken: files.sessionToken === undefined ? null : resolve(files.sessionToken, null),
          },
    encryption:
      encryption?.type === 'SSE-KMS'
        ? { type: encryption.type, keyId: encryption.keyId ?? null }
        : encryption === undefined
          ? null
          : { type: 'SSE-S3' },
    objectLock:
      objectLock === undefined ? null : { mode: objectLock.mode, retainForMs: objectLock.retainFor },
    storageClass: s3.storageClass ?? null,
  };
  return { kind: 's3', location: s3Location(options), s3: options };
}

/** Where programs keep what must survive a restart (XDG Base Directory Specification; relative paths there are to be ignored). */
function stateDirectory(environment: Readonly<Record<string, string | undefined>>): string {
  const given = environment['XDG_STATE_HOME'] ?? '';
  if (path.isAbsolute(given)) return given;
  return path.join(environment['HOME'] || os.homedir(), '.local', 'state');
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
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort())
      : value,
  );
  return `sha256:${createHash('sha256').update(canonical).digest('hex')}`;
}

export function readFile(file: string): string {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new ConfigurationError(file, [{ path: '', line: null, message: `can't be read: ${why}` }]);
  }
}

export function parseFile(file: string, text: string): ParsedFile {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  if (document.errors.length > 0) {
    const problems = document.errors.map((error) => {
      const { line, col } = lines.linePos(error.pos[0]);
      return { path: '', line, message: `no valid YAML (column ${col}): ${error.message}` };
    });
    throw new ConfigurationError(file, problems);
  }
  const lineOf = (keys: KeyPath): number | null => {
    if (keys.length === 0) return null;
    const parent = document.getIn(keys.slice(0, -1), true);
    const key = keys.at(-1);
    const pair = isMap(parent)
      ? parent.items.find((item) => isScalar(item.key) && String(item.key.value) === String(key))
      : undefined;
    const node = isSeq(parent) ? parent.items[Number(key)] : pair?.key;
    const at = isNode(node) ? node.range : null;
    // What is missing is told where it is missing from.
    return at == null ? lineOf(keys.slice(0, -1)) : lines.linePos(at[0]).line;
  };
  return { content: document.contents === null ? {} : document.toJS(), lineOf };
}
