/**
 * Owns the detectors that the preset lacks, or whose rules there miss or cover too much: each says which.
 * Invariant: every repetition is bounded, and no class of characters overlaps what must follow it where both are long.
 */
import { Buffer } from 'node:buffer';
import { findCardNumbers } from './card-number.ts';
import { byPattern, type Detector, reportMatches } from './detector.ts';

const AWS_SECRET_NAME = /secret_?-?access_?-?key$/i;
const AWS_SECRET = /^[A-Za-z0-9/+=]{40}$/;

/** The preset reports secret keys from their label on, as long as the key, and loses those that end with a sign. */
const AWS: Detector = {
  ...byPattern({
    name: 'aws',
    triggers: ['(?i)secret_?access_?key', '(?i)secret-access-key'],
    before: 32,
    after: 128,
    cost: 200,
    pattern:
      /secret[_-]?access[_-]?key["'\\]{0,4}\s{0,8}(?::|=>|=|>)\s{0,8}["'\\]{0,4}([A-Za-z0-9/+=]{40})(?![A-Za-z0-9/+=])/gi,
  }),
  named: (name, value) => AWS_SECRET_NAME.test(name) && AWS_SECRET.test(value),
};

/** Session tokens of AWS: base64 of a structure that names its origin. */
const AWS_SESSION = byPattern({
  name: 'aws',
  triggers: ['IQoJb3JpZ2lu', 'FwoGZXIvYXdz', 'FQoGZXIvYXdz'],
  before: 16,
  after: 2100,
  cost: 600,
  pattern: /(?<![A-Za-z0-9])(?:IQoJb3JpZ2lu|F[wQ]oGZXIvYXdz)[A-Za-z0-9/+]{80,2000}={0,2}/g,
});

/** The preset looks at whole key files only. Formats: cloud.google.com, and gitleaks (MIT). */
const GCP = byPattern({
  name: 'gcp',
  triggers: ['AIza[0-9A-Za-z_-]{8}', 'GOCSPX-', 'ya29.[0-9A-Za-z_-]{8}', '1//0[0-9A-Za-z_-]{8}'],
  before: 24,
  after: 2100,
  cost: 600,
  pattern:
    /(?<![A-Za-z0-9_-])(?:AIza[0-9A-Za-z_-]{35}|GOCSPX-[0-9A-Za-z_-]{28}|ya29\.[0-9A-Za-z_-]{20,2000}|1\/\/0[0-9A-Za-z_-]{40,400})(?![0-9A-Za-z_-])/g,
});

/** Client secrets of Entra ID, keys of storage accounts and service buses, signatures of shared access. */
const AZURE = byPattern({
  name: 'azure',
  triggers: [
    '[0-9]Q~[A-Za-z0-9_~.-]{8}',
    '(?i)accountkey=',
    '(?i)sharedaccesskey=',
    '[?&]sig=[A-Za-z0-9%]{8}',
  ],
  before: 24,
  after: 160,
  cost: 200,
  pattern:
    /(?<![A-Za-z0-9_~.-])[A-Za-z0-9_~.]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,34}(?![A-Za-z0-9_~.-])|(?<=(?:Account|SharedAccess)Key=)[A-Za-z0-9+/]{43,86}={1,2}|(?<=[?&]sig=)[A-Za-z0-9+/%]{43,120}={0,2}/g,
});

/** Tokens of GitLab other than personal ones, and the tail of routable ones, which the preset leaves. */
const GITLAB = byPattern({
  name: 'gitlab',
  triggers: [
    'gl[a-z]{2}-[A-Za-z0-9_-]{8}',
    'gl[a-z]{3}-[A-Za-z0-9_-]{8}',
    'glsoat-',
    'glagent-',
    'glcbt-',
    'GR1348941',
  ],
  before: 24,
  after: 340,
  cost: 340,
  pattern:
    /(?<!\p{L})(?:gl(?:pat|dt|rt|rtr|cbt|ptt|ft|soat|imt|agent|oas|wt|ffct)-[A-Za-z0-9_-]{20,300}(?:\.[A-Za-z0-9_-]{1,12}){0,2}|GR1348941[A-Za-z0-9_-]{20})(?![A-Za-z0-9_-])/gu,
});

/** Atlassian: API tokens of its cloud, app passwords of Bitbucket. */
const ATLASSIAN = byPattern({
  name: 'atlassian',
  triggers: ['ATATT3x', 'ATBB[A-Za-z0-9_-]{8}', 'ATCTT3x'],
  before: 16,
  after: 320,
  cost: 320,
  pattern:
    /(?<!\p{L})(?:AT[AC]TT3x[A-Za-z0-9_=-]{60,300}|ATBB[A-Za-z0-9]{24}[A-F0-9]{8})(?![A-Za-z0-9_=-])/gu,
});

/** The preset knows tokens whose JSON ends at a certain place only, and keys of one kind. */
const ONE_PASSWORD = byPattern({
  name: '1password',
  triggers: ['ops_eyJ'],
  before: 16,
  after: 4100,
  cost: 600,
  pattern: /(?<!\p{L})ops_eyJ[A-Za-z0-9+/_-]{200,4000}={0,3}/gu,
});
const ANTHROPIC = byPattern({
  name: 'anthropic',
  triggers: ['sk-ant-'],
  before: 16,
  after: 260,
  cost: 260,
  pattern: /(?<!\p{L})sk-ant-[a-z]{2,8}\d{2}-[A-Za-z0-9_-]{80,200}/gu,
});

/** The preset's rule loses keys with more than one dash. */
const SENDGRID = byPattern({
  name: 'sendgrid',
  triggers: ['SG.[A-Za-z0-9_-]{12}'],
  before: 24,
  after: 80,
  cost: 80,
  pattern: /(?<!\p{L})SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])/gu,
});

/** Rotated tokens and the tokens of the configuration, which the preset does not know. */
const SLACK = byPattern({
  name: 'slack',
  triggers: ['xoxe[.-]', 'xoxs-', 'xoxd-', 'xoxc-'],
  before: 16,
  after: 400,
  cost: 400,
  pattern: /(?<!\p{L})xox[esdc](?:\.xox[bp])?-[A-Za-z0-9%/+=-]{20,380}(?![A-Za-z0-9-])/gu,
});

/** User and password in a URL of any scheme; the preset knows some schemes, and reports the whole URL. */
const URL_CREDENTIALS: Detector = {
  name: 'url-credentials',
  triggers: ['://'],
  before: 4,
  after: 512,
  cost: 512,
  find(text, report) {
    const pattern = /:\/\/([^\s/?#@:"'<>\\]{0,128}:[^\s/?#@"'<>\\]{0,256})@[^\s@]/dg;
    reportMatches(text, pattern, (start, end) => {
      const [user = '', password = ''] = splitAt(text.slice(start, end), ':');
      if (!isPlaceholder(password) && (password !== '' || user.length >= 16)) report(start, end);
    });
  },
};

const PLACEHOLDERS = new Set([
  'password',
  'passwd',
  'pass',
  'pwd',
  'secret',
  'token',
  'xxx',
  'xxxx',
  '...',
  '***',
  '****',
]);

/** What examples and templates have in a secret's place. */
function isPlaceholder(secret: string): boolean {
  return /[${}%<[]/.test(secret.slice(0, 2))
    ? !/^%[0-9A-Fa-f]{2}/.test(secret)
    : PLACEHOLDERS.has(secret.toLowerCase());
}

/** Credentials of the schemes Bearer (RFC 6750) and Basic (RFC 7617) in text. */
const AUTHORIZATION: Detector = {
  name: 'authorization',
  triggers: ['(?i)bearer [A-Za-z0-9_.~+/-]{12}', '(?i)basic [A-Za-z0-9+/]{8}'],
  before: 32,
  after: 4200,
  cost: 600,
  find(text, report) {
    reportMatches(
      text,
      /(?<![\p{L}\d_-])bearer {1,4}([A-Za-z0-9._~+/-]{20,4096}={0,2})/dgiu,
      (start, end) => {
        if (looksRandom(text.slice(start, end))) report(start, end);
      },
    );
    reportMatches(text, /(?<![\p{L}\d_-])basic {1,4}([A-Za-z0-9+/]{8,1024}={0,2})/dgiu, (start, end) => {
      if (isUserAndPassword(text.slice(start, end))) report(start, end);
    });
  },
};

/** Words of prose have no digits, and names of things are short between their dashes, or in one case. */
function looksRandom(token: string): boolean {
  if (!/\d/.test(token) || !/[A-Za-z]/.test(token)) return false;
  return (
    (token.length >= 32 && /[a-z]/.test(token) && /[A-Z]/.test(token)) ||
    token.split(/[-./_~]/).some((part) => part.length >= 16)
  );
}

function isUserAndPassword(base64: string): boolean {
  if (base64.replace(/=+$/, '').length % 4 === 1) return false;
  return /^[^\p{Cc}\ufffd:]{1,256}:[^\p{Cc}\ufffd]{1,512}$/u.test(
    Buffer.from(base64, 'base64').toString('utf8'),
  );
}

/** JSON Web Tokens, signed or encrypted (RFC 7519, RFC 7516): the first part says how. */
const JWT: Detector = {
  name: 'jwt',
  triggers: ['eyJ[A-Za-z0-9_-]{8}', 'ewog[A-Za-z0-9_-]{8}'],
  before: 16,
  after: 16_384,
  cost: 512,
  find(text, report) {
    const pattern =
      /(?<![A-Za-z0-9_-])((?:eyJ|ewog)[A-Za-z0-9_-]{8,4096})\.[A-Za-z0-9_-]{0,12288}(?:\.[A-Za-z0-9_-]{0,12288}){1,3}/g;
    for (const match of text.matchAll(pattern)) {
      if (saysHowItIsSigned(match[1] as string)) report(match.index, match.index + match[0].length);
    }
  },
};

function saysHowItIsSigned(header: string): boolean {
  try {
    const value: unknown = JSON.parse(Buffer.from(header, 'base64url').toString('utf8'));
    return typeof value === 'object' && value !== null && 'alg' in value && typeof value.alg === 'string';
  } catch {
    return false;
  }
}

/** PEM (RFC 7468) and PGP blocks, encrypted or cut off ones too; the preset wants them whole and plain. */
const PRIVATE_KEY: Detector = {
  name: 'private-key',
  triggers: ['PRIVATE KEY-', 'PRIVATE KEY BLOCK-'],
  before: 64,
  after: 16_384,
  cost: 512,
  find(text, report) {
    const begin = /-----BEGIN (?:[A-Z0-9]{1,16} ){0,2}PRIVATE KEY(?: BLOCK)?-----/g;
    for (const match of text.matchAll(begin)) {
      const body = match.index + match[0].length;
      const stop =
        /-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|[^A-Za-z0-9+/=\s\\:,.()-]|-----BEGIN/g;
      stop.lastIndex = body;
      const found = stop.exec(text);
      const ended = found?.[0].startsWith('-----END') ?? false;
      const bodyEnd = found?.index ?? text.length;
      if (/[A-Za-z0-9+/=]{32}/.test(text.slice(body, bodyEnd)))
        report(match.index, ended ? bodyEnd + (found?.[0] ?? '').length : bodyEnd);
    }
  },
};

const CARD_NUMBER: Detector = {
  name: 'card-number',
  triggers: [
    '[0-9][ +-]?[0-9][ +-]?[0-9][ +-]?[0-9][ +-]?[0-9][ +-]?[0-9][ +-]?[0-9][ +-]?[0-9][ +-]?[0-9][ +-]?[0-9][ +-]?[0-9][ +-]?[0-9][ +-]?[0-9]',
  ],
  before: 64,
  after: 64,
  cost: 16,
  find(text, report) {
    const codes = Uint16Array.from({ length: text.length }, (_, index) => text.charCodeAt(index));
    const digits = /\d/g;
    for (let match = digits.exec(text); match !== null; match = digits.exec(text)) {
      digits.lastIndex = findCardNumbers(codes, codes.length, match.index, true, report);
    }
  },
};

export const OWN_DETECTORS: readonly Detector[] = [
  AWS,
  AWS_SESSION,
  GCP,
  AZURE,
  GITLAB,
  ATLASSIAN,
  ONE_PASSWORD,
  ANTHROPIC,
  SENDGRID,
  SLACK,
  URL_CREDENTIALS,
  AUTHORIZATION,
  JWT,
  PRIVATE_KEY,
  CARD_NUMBER,
];

function splitAt(text: string, separator: string): [string, string] {
  const index = text.indexOf(separator);
  return [text.slice(0, index), text.slice(index + 1)];
}
