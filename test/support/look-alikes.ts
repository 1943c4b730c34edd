/**
 * Owns texts that look like secrets and are none, of the kinds that calls of tools and their results are full of.
 * Invariant: the same seed gives the same texts.
 */
import { Buffer } from 'node:buffer';
import { drawn, type Random, randomFrom } from './secrets.ts';

const HEX = '0123456789abcdef';
const DIGITS = '0123456789';
const BASE64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

export interface LookAlike {
  what: string;
  text: string;
}

const KINDS: Readonly<Record<string, (random: Random) => string>> = {
  UUID: (random) => [8, 4, 4, 4, 12].map((length) => drawn(random, HEX, length)).join('-'),
  'UUID of digits': (random) => [8, 4, 4, 4, 12].map((length) => drawn(random, DIGITS, length)).join('-'),
  'SHA-256': (random) => `sha256:${drawn(random, HEX, 64)}`,
  'git id': (random) => `commit ${drawn(random, HEX, 40)}`,
  'MD5 in a path': (random) => `/cache/${drawn(random, HEX, 2)}/${drawn(random, HEX, 32)}.png`,
  'digits in code': (random) =>
    `const LIMIT = ${drawn(random, '12345', 1)}${drawn(random, DIGITS, 17)}n; // 0x${drawn(random, HEX, 16)}`,
  'random 16 digits': (random) =>
    `order ${drawn(random, '123456789', 1)}${drawn(random, DIGITS, 15)} shipped`,
  'order number': (random) => `ORD-2026-${drawn(random, DIGITS, 8)}-${drawn(random, DIGITS, 4)}`,
  ISBN: (random) =>
    `978-3-${drawn(random, DIGITS, 4)}-${drawn(random, DIGITS, 4)}-${drawn(random, DIGITS, 1)}`,
  'time in milliseconds': (random) => `"createdAt":17${drawn(random, DIGITS, 11)}`,
  'time in nanoseconds': (random) => `"ts":17${drawn(random, DIGITS, 17)}`,
  'time of day': () => '2026-11-26 07:01:34.123456 +0000',
  'snowflake id': (random) =>
    `https://discord.com/channels/1${drawn(random, DIGITS, 17)}/1${drawn(random, DIGITS, 17)}`,
  'phone number': (random) =>
    `+49 30 ${drawn(random, DIGITS, 4)} ${drawn(random, DIGITS, 4)}-${drawn(random, DIGITS, 2)}`,
  'phone number of the US': (random) => `1-800-${drawn(random, DIGITS, 3)}-${drawn(random, DIGITS, 4)}`,
  IBAN: (random) =>
    `DE${drawn(random, DIGITS, 2)} ${[4, 4, 4, 4, 2].map((length) => drawn(random, DIGITS, length)).join(' ')}`,
  'decimal number': (random) =>
    `{"lat":52.${drawn(random, DIGITS, 15)},"lon":13.${drawn(random, DIGITS, 15)}}`,
  'image in base64': (random) => `data:image/png;base64,iVBORw0KGgo${drawn(random, BASE64, 400)}`,
  'base64 of JSON': (random) =>
    Buffer.from(JSON.stringify({ page: 2, cursor: drawn(random, HEX, 24) })).toString('base64url'),
  'integrity of a package': (random) => `"integrity": "sha512-${drawn(random, BASE64, 86)}=="`,
  'minified code': (random) =>
    `function e(t,n){return t.a_${drawn(random, HEX, 3)}(n)};var npm_config_registry_url="x",hf_model="b";`,
  'public key': (random) =>
    `-----BEGIN PUBLIC KEY-----\n${drawn(random, BASE64, 64)}\n-----END PUBLIC KEY-----`,
  certificate: (random) =>
    `-----BEGIN CERTIFICATE-----\nMII${drawn(random, BASE64, 61)}\n-----END CERTIFICATE-----`,
  'private key in prose': () =>
    'A file with -----BEGIN PRIVATE KEY----- in it must not be committed; see the guide.',
  'private key left out': () => '-----BEGIN RSA PRIVATE KEY-----\n...\n-----END RSA PRIVATE KEY-----',
  'URL without credentials': (random) =>
    `https://github.com/acme/site/issues/${drawn(random, DIGITS, 3)}?from=joe@example.com`,
  'URL with a port': () => 'http://localhost:8080/path and mail to ops@example.com',
  'URL of a template': (random) =>
    `postgres://user:${['$', '{DB_PASSWORD}'].join('')}@db:5432/${drawn(random, HEX, 4)}`,
  'URL of an example': () => 'https://user:password@example.com/',
  'scp address': () => 'git@github.com:acme/site.git',
  'bearer in prose': () => 'Send the token as a Bearer credential, bearer-token-authentication is required.',
  'basic in prose': () => 'This covers basic authentication and basic configuration of the server.',
  'name of a token': () =>
    'export GITHUB_TOKEN=$GH_TOKEN; ghp_ is the prefix of classic tokens, sk-... of keys',
  'prefix in a word': (random) =>
    `task-${drawn(random, HEX, 24)} risk-${drawn(random, HEX, 8)} disk_live_${drawn(random, HEX, 24)}`,
  'dotted names': () => 'com.example.service.Authentication eyJ.a.b SG.example.com ya29.example',
  'jwt-like without header': (random) =>
    `eyJ${drawn(random, HEX, 20)}.${drawn(random, HEX, 20)}.${drawn(random, HEX, 20)}`,
  'snake case': () =>
    'shpat_enabled vcp_hits hf_tokenizer npm_lifecycle_event glc_total ops_eye ntn_count lin_api_version',
  'AWS example': () => ['AKIA', 'IOSFODNN7', 'EXAMPLE'].join(''),
  'AWS account and ARN': (random) =>
    `arn:aws:iam::${drawn(random, DIGITS, 12)}:role/Admin account_id=${drawn(random, DIGITS, 12)}`,
  'upper case id': (random) =>
    `ASIAN-MARKETS-${drawn(random, 'ABCDEF', 12)} AIDA_${drawn(random, DIGITS, 6)}`,
  'model and dataset': () => 'claude-sonnet-4-5-20250929 gpt-5-mini text-embedding-3-large sk-learn==1.5.2',
  'email and names': (random) => `Ada Lovelace <ada.${drawn(random, HEX, 4)}@example.com>, Zürich, 東京`,
  'version list': () => '1.2.3 2.2.2 3.3.3 4.4.4 5.5.5 6.6.6 4-1-1-1-1-1-1-1-1-1-1-1-1-1-1-1',
  'table of numbers': (random) => Array.from({ length: 12 }, () => drawn(random, DIGITS, 4)).join('\t'),
  'numbers in a row': (random) => Array.from({ length: 12 }, () => drawn(random, DIGITS, 3)).join(' '),
  'four-digit numbers in a row': (random) =>
    Array.from({ length: 8 }, () => drawn(random, DIGITS, 4)).join(' '),
  coordinates: (random) =>
    `M${Array.from({ length: 10 }, () => `${drawn(random, DIGITS, 2)}.${drawn(random, DIGITS, 2)}`).join(' ')}z`,
  'trace context': (random) => `00-${drawn(random, HEX, 32)}-${drawn(random, HEX, 16)}-01`,
  ULID: (random) => `01K${drawn(random, 'ABCDEFGHJKMNPQRSTVWXYZ0123456789', 23)}`,
};

/** So many of each kind. */
export function lookAlikes(seed: number, each: number): LookAlike[] {
  const random = randomFrom(seed);
  return Object.entries(KINDS).flatMap(([what, make]) =>
    Array.from({ length: each }, () => ({ what, text: make(random) })),
  );
}
