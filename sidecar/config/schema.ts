/**
 * Owns the shape of the configuration: the keys of the YAML file, their defaults, and what the recorder runs on.
 * Invariant: an unknown key is refused, never ignored; a typing error must not loosen what the operator asked for.
 * Keys stand under the same parents as in the Kubernetes resource.
 */
import type { S3StoreOptions } from '@mcp-recorder/recording/store/s3-options';
import { z } from 'zod';
import {
  type AuthConfiguration,
  CALLER_TOKENS,
  type CallerToken,
  type CredentialConfiguration,
  type MaskingConfiguration,
  type RuleConfiguration,
} from './access.ts';
import { ADDRESS_EXPECTED, type Address, parseAddress } from './address.ts';
import { AUTHORITIES_EXPECTED, areAuthorities } from './authorities.ts';
import { credentialSection } from './credential-schema.ts';
import { authSection } from './identity-schema.ts';
import { maskingSection } from './masking-schema.ts';
import { duration, size } from './quantity-schema.ts';
import { rulesSection } from './rules-schema.ts';
import { section } from './section.ts';
import { directory, storageSection } from './storage-schema.ts';

/** What the recorder runs on: every default filled in, every path absolute, units in the names. */
export interface Configuration {
  /** Name of the recorded server; a partition of the recording. */
  name: string;
  cluster: string;
  namespace: string;
  /** What rules know of the server beside its name. */
  labels: Record<string, string>;
  /** Where clients connect. */
  listen: Address;
  /** The recorded server. `path` is the MCP endpoint for messages to people: requests keep the path they came with. */
  server: {
    url: string;
    origin: string;
    path: string;
    /** What the server is given in the caller's place; null: nothing. */
    credential: CredentialConfiguration | null;
    callerToken: CallerToken;
  };
  auth: AuthConfiguration;
  /** The first that matches decides. */
  rules: RuleConfiguration[];
  masking: MaskingConfiguration;
  storage: Storage;
  recording: {
    /** Which copy is durable enough to release what waits for it: the one in the spool, or the one in the object store. */
    commit: CommitMode;
    /** What happens while recording can't be guaranteed: nothing passes, or calls pass and each gap is recorded. */
    onFailure: OnFailure;
    /** How long the upload path may be unhealthy, and how far the store may be behind, before nothing passes (ms). */
    maxUploadLagMs: number;
    maxRequestBytes: number;
    spool: { directory: string; sizeLimitBytes: number; allowTmpfs: boolean };
  };
  /** `tls`: served over TLS, and what it says of the recorder only to clients whose certificate one of `operatorCa` (PEM) issued. */
  status: {
    listen: Address;
    tls?: { operatorCa: string };
    /** Who has the token in this file may read the recording as it is made. */
    live?: { tokenFile: string };
  };
  drain: { timeoutMs: number };
  /** Bytes of request bodies that no answer has come to yet, all exchanges together. */
  limits: { memoryBytes: number };
  log: { level: LogLevel };
  /** `sha256:<hex>` of all of the above; stands on the `open` line of each segment. */
  digest: string;
}

/** Where the recording goes. `location` is for messages to people, as reading commands take it. */
export type Storage =
  /** An absolute path. */
  | { kind: 'directory'; location: string; directory: string }
  | { kind: 's3'; location: string; s3: S3StoreOptions };

export const COMMIT_MODES = ['Spool', 'ObjectStorage'] as const;
export type CommitMode = (typeof COMMIT_MODES)[number];
export const ON_FAILURE = ['Closed', 'Open'] as const;
export type OnFailure = (typeof ON_FAILURE)[number];

export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

const NAME_PATTERN = /^[a-z0-9](?:[a-z0-9.-]{0,61}[a-z0-9])?$/;
const NAME_EXPECTED =
  '1 to 63 characters of a-z, 0-9, "." and "-", beginning and ending with a letter or a digit';

const address = z.string({ error: ADDRESS_EXPECTED }).transform((given, context) => {
  const parsed = parseAddress(given);
  if (parsed !== null) return parsed;
  context.addIssue(ADDRESS_EXPECTED);
  return z.NEVER;
});

const name = z.string({ error: NAME_EXPECTED }).regex(NAME_PATTERN, { error: NAME_EXPECTED });

const TOKEN_FILE_EXPECTED = 'the path of a file that holds a token';
const URL_EXPECTED = 'the URL of an MCP server, for example http://127.0.0.1:3001/mcp';

const upstream = z.string({ error: URL_EXPECTED }).transform((given, context) => {
  const url = URL.parse(given);
  let expected: string | null = null;
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) expected = URL_EXPECTED;
  // The configuration is shown by the status port and digested into the recording.
  else if (url.username !== '' || url.password !== '') expected = 'a URL without user name and password';
  else if (url.search !== '' || url.hash !== '') expected = 'a URL without query and fragment';
  if (url !== null && expected === null) return { url: given, origin: url.origin, path: url.pathname };
  context.addIssue(expected ?? URL_EXPECTED);
  return z.NEVER;
});

/** The YAML file, before defaults that depend on other keys. Its input side is published as JSON Schema. */
export const configurationSchema = section({
  name: name
    .optional()
    .describe(
      'Name of the recorded server in the recording. Default: host of server.url, reduced to a name.',
    ),
  cluster: name.prefault('local').describe('Cluster in the recording.'),
  namespace: name.prefault('local').describe('Namespace in the recording.'),
  labels: z
    .record(z.string(), z.string({ error: 'a text' }), { error: 'a mapping of names to texts' })
    .prefault({})
    .describe('What rules may know of the server beside its name, for example environment: prod.'),
  listen: address
    .prefault('127.0.0.1:8642')
    .describe('Where clients connect, HOST:PORT; port 0 = any free one.'),
  server: section({
    url: upstream.describe('The MCP server. Requests keep the path that they came with.'),
    credential: credentialSection
      .optional()
      .describe('What the server is given to know the recorder by. Callers never see it.'),
    callerToken: z
      .enum(CALLER_TOKENS, { error: `one of ${CALLER_TOKENS.join(', ')}` })
      .optional()
      .describe(
        'What becomes of the Authorization header of the caller. Default: Remove with auth.mode Enforce, where it is for the recorder; else Forward.',
      ),
  }),
  auth: authSection,
  rules: rulesSection.prefault([]).describe('What becomes of a call; the first rule that matches decides.'),
  masking: maskingSection
    .prefault({})
    .describe('What is replaced before it is recorded, or before it passes.'),
  storage: storageSection,
  recording: section({
    commit: z
      .enum(COMMIT_MODES, { error: `one of ${COMMIT_MODES.join(', ')}` })
      .prefault('Spool')
      .describe(
        'Which copy must be durable before anything passes: the one in the spool or the one in the store.',
      ),
    onFailure: z
      .enum(ON_FAILURE, { error: `one of ${ON_FAILURE.join(', ')}` })
      .prefault('Closed')
      .describe(
        'Closed: nothing passes that can not be recorded. Open: it passes, and each gap is recorded.',
      ),
    maxUploadLag: duration([1_000, '1s'])
      .prefault('30s')
      .describe('How long uploads may fail, and how far the store may be behind, before nothing passes.'),
    maxRequestBytes: size(1, '1').prefault('4Mi').describe('A larger request body is refused with 413.'),
    spool: section({
      directory: directory
        .optional()
        .describe(
          'Local queue on a disk of its own or the same. Default: spool/<name> in storage.directory; with S3 in the state directory of the user.',
        ),
      sizeLimit: size(64 * 2 ** 20, '64Mi')
        .prefault('512Mi')
        .describe('The most that the spool may hold; when it is full, nothing passes.'),
      allowTmpfs: z
        .boolean({ error: 'true or false' })
        .prefault(false)
        .describe('Accept a spool in memory, which does not survive the machine.'),
    }).prefault({}),
  }).prefault({}),
  status: section({
    listen: address
      .optional()
      .describe(
        'Health, metrics and status, HOST:PORT. Default: 127.0.0.1 and the port after that of listen.',
      ),
    tls: z
      .boolean({ error: 'true or false' })
      .prefault(false)
      .describe(
        'TLS with a certificate that the recorder makes for itself; /status is then only for clients with a certificate of operatorCa.',
      ),
    operatorCa: z
      .string({ error: AUTHORITIES_EXPECTED })
      .refine(areAuthorities, { error: AUTHORITIES_EXPECTED })
      .optional()
      .describe('Certificate authorities of the operator that may ask for /status, PEM.'),
    live: section({
      tokenFile: z
        .string({ error: TOKEN_FILE_EXPECTED })
        .min(1, { error: TOKEN_FILE_EXPECTED })
        .describe(
          'Who has the token in this file may read the recording as it is made, at /live. It is read for each reader. Default: live-token in the spool of `record`; none in a pod.',
        ),
    }).optional(),
  })
    .refine(({ tls, operatorCa }) => tls === (operatorCa !== undefined), {
      error: 'tls: true and operatorCa, both or neither',
    })
    .prefault({}),
  drain: section({
    timeout: duration([0, '0s'])
      .prefault('25s')
      .describe('How long running exchanges may take to end at shutdown.'),
  }).prefault({}),
  limits: section({
    memory: size(16 * 2 ** 20, '16Mi')
      .prefault('256Mi')
      .describe('Bodies in flight; beyond it requests get 503.'),
  }).prefault({}),
  log: section({
    level: z
      .enum(LOG_LEVELS, { error: `one of ${LOG_LEVELS.join(', ')}` })
      .prefault('info')
      .describe('Least level that is logged.'),
  }).prefault({}),
});

/** The file's content once checked, quantities read, before derived defaults. */
export type CheckedFile = z.output<typeof configurationSchema>;
