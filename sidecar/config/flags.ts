/**
 * Owns which flag of `mcp-recorder record` overrides which key of the file.
 * Invariant: a flag either takes effect or is told as a problem; one that names another kind of store puts the file's aside.
 */
import { LOCATION_EXPECTED, splitS3Location } from '@mcp-recorder/recording/store/s3-location';
import { type KeyPath, keyText, type Problem } from './configuration-error.ts';

export interface ConfigurationFlags {
  upstream?: string | undefined;
  /** A directory, or `s3://bucket/prefix`. */
  store?: string | undefined;
  s3Endpoint?: string | undefined;
  s3Region?: string | undefined;
  s3PathStyle?: boolean | undefined;
  s3Ca?: string | undefined;
  commit?: string | undefined;
  maxUploadLag?: string | undefined;
  onFailure?: string | undefined;
  name?: string | undefined;
  spool?: string | undefined;
  listen?: string | undefined;
  /** Nobody is identified. */
  anonymous?: boolean | undefined;
  /** One issuer, in the place of those of the file. */
  issuer?: string | undefined;
  /** Of that issuer. */
  audience?: string[] | undefined;
  groupsClaim?: string | undefined;
  resource?: string | undefined;
}

type Flag = keyof ConfigurationFlags;
type Section = Record<PropertyKey, unknown>;

const KEYS: readonly (readonly [Flag, KeyPath])[] = [
  ['upstream', ['server', 'url']],
  ['store', ['storage', 'directory']],
  ['store', ['storage', 's3', 'bucket']],
  ['store', ['storage', 's3', 'prefix']],
  ['s3Endpoint', ['storage', 's3', 'endpoint']],
  ['s3Region', ['storage', 's3', 'region']],
  ['s3PathStyle', ['storage', 's3', 'pathStyle']],
  ['s3Ca', ['storage', 's3', 'caFile']],
  ['commit', ['recording', 'commit']],
  ['maxUploadLag', ['recording', 'maxUploadLag']],
  ['onFailure', ['recording', 'onFailure']],
  ['name', ['name']],
  ['spool', ['recording', 'spool', 'directory']],
  ['listen', ['listen']],
  ['anonymous', ['auth', 'mode']],
  ['resource', ['auth', 'resource']],
  ['issuer', ['auth', 'oidc', 0, 'issuer']],
  ['audience', ['auth', 'oidc', 0, 'audiences']],
  ['groupsClaim', ['auth', 'oidc', 0, 'groupsClaim']],
];
/** They say more of the issuer that a flag gives. */
const OF_ISSUER: readonly Flag[] = ['audience', 'groupsClaim'];

/**
 * The file's content with the flags put in. The section `server`, which has no default, exists, so that its keys are asked for.
 * `problems`: flags that could not take effect.
 */
export function withFlags(
  content: unknown,
  flags: ConfigurationFlags,
): { content: unknown; problems: Problem[] } {
  if (!isSection(content)) return { content, problems: [] };
  const merged = structuredClone(content);
  merged['server'] ??= {};
  if (flags.store !== undefined) putStore(merged, flags.store);
  if (flags.issuer !== undefined) put(merged, ['auth', 'oidc'], [{}]);
  const problems: Problem[] = [];
  const storage = merged['storage'];
  const inDirectory = isSection(storage) && storage['directory'] !== undefined && storage['s3'] === undefined;
  for (const [flag, keys] of KEYS) {
    const value = flags[flag];
    if (value === undefined || flag === 'store') continue;
    if (inDirectory && keys[1] === 's3') {
      const message = `needs a store ${LOCATION_EXPECTED}; this recording goes to a directory`;
      problems.push({ path: flagText(flag), line: null, message });
    } else if (OF_ISSUER.includes(flag) && flags.issuer === undefined) {
      const message = 'needs --issuer; an issuer of the file has its own';
      problems.push({ path: flagText(flag), line: null, message });
    } else put(merged, keys, flag === 'anonymous' ? 'Anonymous' : value);
  }
  return { content: merged, problems };
}

/** The flag that gave the value of a key, as it is written, or null when the file gave it. */
export function flagThatGave(keys: KeyPath, flags: ConfigurationFlags): string | null {
  const flag = flagFor(keys);
  return flag !== null && flags[flag] !== undefined ? flagText(flag) : null;
}

/** For the end of a message: which flag can give the key. */
export function flagHint(keys: KeyPath): string {
  const key = keyText(keys);
  if (key === 'auth') return ' (or give --anonymous, or --issuer and --resource)';
  // They put an issuer in the place of those of the file.
  if (key.startsWith('auth.oidc[')) return '';
  const flag = key === 'storage' ? 'store' : flagFor(keys);
  return flag === null ? '' : ` (or give ${flagText(flag)})`;
}

function putStore(content: Section, store: string): void {
  content['storage'] ??= {};
  const storage = content['storage'];
  // Anything else there is a fault that the schema tells.
  if (!isSection(storage)) return;
  const location = splitS3Location(store);
  delete storage[location === null ? 's3' : 'directory'];
  if (location === null) storage['directory'] = store;
  else {
    put(storage, ['s3', 'bucket'], location.bucket);
    put(storage, ['s3', 'prefix'], location.prefix);
  }
}

function put(target: Section, keys: KeyPath, value: unknown): void {
  const [key, ...rest] = keys;
  if (key === undefined) return;
  if (rest.length === 0) {
    target[key] = value;
    return;
  }
  target[key] ??= {};
  const inner = target[key];
  if (isSection(inner) || (Array.isArray(inner) && typeof rest[0] === 'number')) {
    put(inner as Section, rest, value);
  }
}

function isSection(value: unknown): value is Section {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function flagFor(keys: KeyPath): Flag | null {
  const key = keyText(keys);
  const found = KEYS.find(([, path]) => {
    const given = keyText(path);
    // A fault within a list that a flag gave is the flag's.
    return key === given || key.startsWith(`${given}[`);
  });
  return found === undefined ? null : found[0];
}

/** `s3PathStyle` as `--s3-path-style`. */
function flagText(flag: Flag): string {
  return `--${flag.replace(/[A-Z]/g, (capital) => `-${capital.toLowerCase()}`)}`;
}
