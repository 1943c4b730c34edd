/**
 * Owns synthetic secrets of every detector, and what looks like secrets and is none.
 * Invariant: built from parts when asked for, so that no scanner of sources takes this file for a leak; the same seed gives the same secrets.
 * None of them was ever valid: what an issuer would have chosen is drawn from the seed.
 */
import { Buffer } from 'node:buffer';
import { crc32 } from 'node:zlib';

export interface PlantedSecret {
  /** The detector that must find it. */
  detector: string;
  /** What to write somewhere: the secret, with the label that gives it away where it needs one. */
  text: string;
  /** What must not be seen afterwards: `text`, or the part of it that is secret. */
  secret: string;
}

/** Numbers from 0 to below 1, the same for the same seed (mulberry32). */
export type Random = () => number;

export function randomFrom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const DIGITS = '0123456789';
const LOWER = 'abcdefghijklmnopqrstuvwxyz';
const UPPER = LOWER.toUpperCase();
const LETTERS = LOWER + UPPER;
const WORD = LETTERS + DIGITS;
const HEX = `${DIGITS}abcdef`;
const BASE64 = `${WORD}+/`;
const BASE64URL = `${WORD}-_`;

export function drawn(random: Random, alphabet: string, length: number): string {
  let text = '';
  for (let index = 0; index < length; index += 1) text += alphabet[Math.floor(random() * alphabet.length)];
  return text;
}

function between(random: Random, from: number, to: number): number {
  return from + Math.floor(random() * (to - from + 1));
}

function oneOf<T>(random: Random, choices: readonly T[]): T {
  return choices[Math.floor(random() * choices.length)] as T;
}

/** CRC-32 of the text in six base62 digits, with which GitHub's and npm's tokens end. */
function checked(body: string): string {
  const alphabet = DIGITS + UPPER + LOWER;
  let rest = crc32(body);
  let digits = '';
  for (let index = 0; index < 6; index += 1) {
    digits = alphabet[rest % 62] + digits;
    rest = Math.floor(rest / 62);
  }
  return body + digits;
}

function base64url(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

function jwt(random: Random): string {
  const alg = oneOf(random, ['RS256', 'ES256', 'HS256', 'EdDSA']);
  const header = random() < 0.5 ? { alg, typ: 'JWT' } : { typ: 'at+jwt', kid: drawn(random, HEX, 16), alg };
  const claims = {
    iss: 'https://idp.example.com',
    sub: drawn(random, WORD, 12),
    exp: between(random, 1.6e9, 1.9e9),
  };
  return [base64url(header), base64url(claims), drawn(random, BASE64URL, 86)].join('.');
}

/** The prefix, and digits up to a length of which the last one checks the others (Luhn). */
export function cardNumber(random: Random, prefix: string, length: number): string {
  const body = prefix + drawn(random, DIGITS, length - prefix.length - 1);
  let sum = 0;
  for (let index = 0; index < body.length; index += 1) {
    const digit = Number(body[body.length - 1 - index]);
    const doubled = index % 2 === 0 ? digit * 2 : digit;
    sum += doubled > 9 ? doubled - 9 : doubled;
  }
  return body + String((10 - (sum % 10)) % 10);
}

const CARDS: readonly (readonly [prefix: string, length: number, groups: readonly number[]])[] = [
  ['4', 16, [4, 4, 4, 4]],
  ['4', 13, [13]],
  ['52', 16, [4, 4, 4, 4]],
  ['2412', 16, [4, 4, 4, 4]],
  ['37', 15, [4, 6, 5]],
  ['36', 14, [4, 6, 4]],
  ['6011', 16, [4, 4, 4, 4]],
  ['3540', 16, [4, 4, 4, 4]],
  ['62', 19, [4, 4, 4, 4, 3]],
];

function writtenCard(random: Random): string {
  const [prefix, length, groups] = oneOf(random, CARDS);
  const digits = cardNumber(random, prefix, length);
  const separator = oneOf(random, ['', ' ', '-']);
  let done = 0;
  return groups
    .map((size) => {
      done += size;
      return digits.slice(done - size, done);
    })
    .join(separator);
}

function pem(random: Random): string {
  const kind = oneOf(random, ['', 'RSA ', 'EC ', 'OPENSSH ', 'ENCRYPTED ']);
  const start = kind === 'OPENSSH ' ? 'b3BlbnNzaC1rZXktdjE' : 'MII';
  const body = `${start}${drawn(random, BASE64, between(random, 180, 900))}`.replaceAll(/.{64}/g, '$&\n');
  const dashes = '-'.repeat(5);
  return `${dashes}BEGIN ${kind}PRIVATE KEY${dashes}\n${body}\n${dashes}END ${kind}PRIVATE KEY${dashes}`;
}

type Draw = (random: Random) => string | { text: string; secret: string };

/** Writes the secret behind a label, which is not secret. */
function labelled(label: string, secret: string): { text: string; secret: string } {
  return { text: label + secret, secret };
}

/** Prefixes are cut in two where a scanner of sources would look for them. */
export const SECRETS: Readonly<Record<string, readonly Draw[]>> = {
  '1password': [
    (random) =>
      `${'op'}${'s_'}${Buffer.from(
        JSON.stringify({
          email: `${drawn(random, LOWER, 12)}@example.com`,
          secretKey: drawn(random, WORD, between(random, 160, 170)),
        }),
      ).toString('base64')}`,
  ],
  anthropic: [
    (random) => `${'sk-'}${'ant-'}api03-${drawn(random, BASE64URL, 93)}AA`,
    (random) => `${'sk-'}${'ant-'}admin01-${drawn(random, BASE64URL, 93)}AA`,
    (random) => `${'sk-'}${'ant-'}oat01-${drawn(random, BASE64URL, 93)}AA`,
  ],
  atlassian: [
    (random) =>
      `${'AT'}${'ATT3xFfGF0'}${drawn(random, BASE64URL, 170)}=${drawn(random, HEX.toUpperCase(), 8)}`,
    (random) => `${'AT'}${'BB'}${drawn(random, WORD, 24)}${drawn(random, `${DIGITS}ABCDEF`, 8)}`,
  ],
  authorization: [
    (random) => labelled('Authorization: Bearer ', `${drawn(random, WORD, between(random, 32, 64))}7a`),
    (random) => labelled('authorization: bearer ', `${drawn(random, BASE64URL, 40)}0Zz`),
    (random) =>
      labelled(
        'Authorization: Basic ',
        Buffer.from(`${drawn(random, LOWER, 6)}:${drawn(random, WORD, 14)}`).toString('base64'),
      ),
  ],
  aws: [
    (random) => `${oneOf(random, ['AK', 'AS'])}${'IA'}${drawn(random, UPPER + DIGITS, 16)}`,
    (random) => labelled('AWS_SECRET_ACCESS_KEY=', drawn(random, BASE64, 40)),
    (random) => labelled('aws_secret_access_key = ', drawn(random, BASE64, 40)),
    (random) => `${'IQoJ'}${'b3JpZ2lu'}${drawn(random, BASE64, 300)}`,
  ],
  azure: [
    (random) => `${drawn(random, WORD, 3)}8${'Q~'}${drawn(random, WORD, 34)}`,
    (random) => labelled('AccountName=acme;AccountKey=', `${drawn(random, BASE64, 86)}==`),
  ],
  'card-number': [writtenCard],
  cloudflare: [
    (random) => {
      const body = drawn(random, WORD, 40);
      return `${oneOf(random, ['cf', 'cfu', 'cfa'])}${'x_'}${body}${crc32(body).toString(16).padStart(8, '0')}`
        .replace('cfx_', 'cfk_')
        .replace('cfux_', 'cfut_')
        .replace('cfax_', 'cfat_');
    },
  ],
  databricks: [(random) => `${'da'}${'pi'}${drawn(random, HEX, 32)}`],
  docker: [(random) => `${'dckr'}${'_pat_'}${drawn(random, BASE64URL, 27)}`],
  figma: [(random) => `${'fi'}${'gd_'}${drawn(random, BASE64URL, 40)}`],
  gcp: [
    (random) => `${'AI'}${'za'}${drawn(random, BASE64URL, 35)}`,
    (random) => `${'GOC'}${'SPX-'}${drawn(random, BASE64URL, 28)}`,
    (random) => `${'ya'}${'29.'}${drawn(random, BASE64URL, 160)}`,
  ],
  github: [
    (random) => `${'gh'}${oneOf(random, ['p', 'o', 'u', 's', 'r'])}_${checked(drawn(random, WORD, 30))}`,
    (random) => `${'github'}${'_pat_'}${drawn(random, WORD, 22)}_${drawn(random, WORD, 59)}`,
    (random) => `${'gh'}${'s_'}${drawn(random, DIGITS, 7)}_${jwt(random)}`,
  ],
  gitlab: [
    (random) => `${'gl'}${'pat-'}${drawn(random, BASE64URL, 20)}`,
    (random) => `${'gl'}${'pat-'}${drawn(random, BASE64URL, 27)}.01.${drawn(random, HEX, 9)}`,
    (random) => `${'gl'}${oneOf(random, ['rt', 'dt', 'cbt', 'ptt', 'soat'])}-${drawn(random, WORD, 20)}`,
  ],
  grafana: [
    (random) =>
      `${'gl'}${'c_'}${Buffer.from(JSON.stringify({ o: '1', k: drawn(random, WORD, 40) })).toString('base64')}`,
    (random) => `${'gl'}${'sa_'}${drawn(random, WORD, 32)}_${drawn(random, HEX, 8)}`,
  ],
  groq: [(random) => `${'gs'}${'k_'}${drawn(random, WORD, 52)}`],
  huggingface: [(random) => `${'h'}${'f_'}${drawn(random, LETTERS, 34)}`],
  jwt: [jwt],
  linear: [(random) => `${'lin'}${'_api_'}${drawn(random, WORD, 40)}`],
  notion: [(random) => `${'nt'}${'n_'}${drawn(random, DIGITS, 11)}${drawn(random, WORD, 35)}`],
  npm: [(random) => `${'np'}${'m_'}${checked(drawn(random, WORD, 30))}`],
  openai: [
    (random) =>
      `${'sk-'}${'proj-'}${drawn(random, BASE64URL, 74)}${'T3Blbk'}${'FJ'}${drawn(random, BASE64URL, 73)}k`,
    (random) => `${'sk'}-${drawn(random, WORD, 20)}${'T3Blbk'}${'FJ'}${drawn(random, WORD, 20)}`,
  ],
  'private-key': [pem],
  sendgrid: [(random) => `${'S'}${'G.'}${drawn(random, BASE64URL, 22)}.${drawn(random, BASE64URL, 43)}`],
  shopify: [(random) => `${'shp'}${oneOf(random, ['at', 'ca', 'pa', 'ss'])}_${drawn(random, HEX, 32)}`],
  slack: [
    (random) =>
      `${'xo'}${'xb-'}${drawn(random, DIGITS, 12)}-${drawn(random, DIGITS, 12)}-${drawn(random, WORD, 24)}`,
    (random) =>
      `${'xo'}${'xp-'}${drawn(random, DIGITS, 12)}-${drawn(random, DIGITS, 12)}-${drawn(random, HEX, 32)}`,
    (random) => `${'xo'}${'xe.xoxp-'}1-${drawn(random, WORD, 140)}`,
    (random) =>
      `https://hooks.${'slack'}.com/services/T${drawn(random, UPPER, 8)}/B${drawn(random, UPPER, 8)}/${drawn(random, WORD, 24)}`,
  ],
  stripe: [
    (random) =>
      `${oneOf(random, ['s', 'r'])}${'k_'}${oneOf(random, ['live', 'test'])}_${drawn(random, WORD, oneOf(random, [24, 99]))}`,
  ],
  tailscale: [(random) => `${'ts'}${'key-'}auth-${drawn(random, WORD, 17)}-${drawn(random, WORD, 32)}`],
  'url-credentials': [
    (random) => {
      const secret = `${drawn(random, WORD, 14)}${oneOf(random, ['', '!x', '%40y'])}`;
      const scheme = oneOf(random, ['postgres', 'https', 'redis', 'mongodb+srv', 'amqp']);
      return { text: `${scheme}://app:${secret}@db.internal.example.com:5432/main`, secret };
    },
  ],
  vault: [
    (random) => `${'hv'}${'s.'}${drawn(random, BASE64URL, 95)}`,
    (random) => `${'hv'}${'b.'}${drawn(random, BASE64URL, 150)}`,
  ],
  vercel: [(random) => `${'vc'}${oneOf(random, ['p', 'i', 'a', 'r', 'k'])}_${drawn(random, WORD, 56)}`],
};

/** So many secrets, of every detector in turn and of each of its forms. */
export function plantedSecrets(seed: number, count: number): PlantedSecret[] {
  const random = randomFrom(seed);
  const detectors = Object.entries(SECRETS);
  return Array.from({ length: count }, (_, index) => {
    const [detector, forms] = detectors[index % detectors.length] as [string, readonly Draw[]];
    const form = forms[Math.floor(index / detectors.length) % forms.length] as Draw;
    const made = form(random);
    return typeof made === 'string' ? { detector, text: made, secret: made } : { detector, ...made };
  });
}
