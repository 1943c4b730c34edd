/**
 * Owns which credential is made of which configuration.
 * Invariant: what is read is fit to stand in a header, so that no value ends one and begins another (RFC 9110, 5.5).
 */
import type { Logger } from 'pino';
import type { CredentialConfiguration } from '../config/access.ts';
import { createClientCredentials } from './client-credentials.ts';
import type { CredentialAnswer, UpstreamCredential } from './credential.ts';
import { createSecretFiles, type SecretFile, type SecretFiles, type SecretValues } from './secret-files.ts';

export interface CredentialParts {
  log: Pick<Logger, 'warn' | 'info'>;
  /** Must not go back. */
  nowMs?: () => number;
}

/** The credential for the server. Nothing is read before it is asked for. */
export function createCredential(
  configuration: CredentialConfiguration,
  { log, nowMs = () => performance.now() }: CredentialParts,
): UpstreamCredential {
  const secrets = (...files: SecretFile[]): SecretFiles => createSecretFiles(files, nowMs);
  const { kind } = configuration;
  if (kind === 'header') {
    const { name, valueFile } = configuration;
    return logged(
      log,
      fixed(secrets({ path: valueFile, check: headerProblem }), name, ([value = '']) => value),
    );
  }
  if (kind === 'bearer') {
    const files = secrets({ path: configuration.tokenFile, check: tokenProblem });
    return logged(
      log,
      fixed(files, 'Authorization', ([token]) => `Bearer ${token}`),
    );
  }
  if (kind === 'basic') {
    const { usernameFile, passwordFile } = configuration;
    const files = secrets({ path: usernameFile, check: userProblem }, { path: passwordFile });
    return logged(log, fixed(files, 'Authorization', basicCredentials));
  }
  const { clientIdFile, clientSecretFile } = configuration;
  const files = secrets({ path: clientIdFile }, { path: clientSecretFile });
  return logged(log, createClientCredentials(configuration, files, nowMs));
}

/** A credential that is what stands in the files. */
function fixed(
  files: SecretFiles,
  name: string,
  write: (values: readonly string[]) => string,
): UpstreamCredential {
  let made: { generation: number; answer: CredentialAnswer } | null = null;
  const answerOf = (read: SecretValues): CredentialAnswer => {
    if (!read.ok) return read;
    if (made?.generation !== read.generation) {
      made = { generation: read.generation, answer: { ok: true, name, value: write(read.values) } };
    }
    return made.answer;
  };
  return {
    current() {
      const read = files.read();
      return read instanceof Promise ? read.then(answerOf) : answerOf(read);
    },
    get problem() {
      return files.problem;
    },
    // The files are looked at anyway.
    refused() {},
    close() {},
  };
}

/** Tells each problem once, and its end. */
function logged(log: CredentialParts['log'], credential: UpstreamCredential): UpstreamCredential {
  let told: string | null = null;
  const tell = (): void => {
    const { problem } = credential;
    if (problem === told) return;
    if (problem === null) log.info('The credential for the server is in order again');
    else log.warn(`The credential for the server: ${problem}`);
    told = problem;
  };
  return {
    current() {
      const answer = credential.current();
      if (!(answer instanceof Promise)) {
        tell();
        return answer;
      }
      return answer.finally(tell);
    },
    get problem() {
      return credential.problem;
    },
    refused: () => credential.refused(),
    close: () => credential.close(),
  };
}

/** RFC 7617, 2 and 2.1: UTF-8. */
function basicCredentials([user, password]: readonly string[]): string {
  return `Basic ${Buffer.from(`${user}:${password}`, 'utf8').toString('base64')}`;
}

/** RFC 9110, 5.5. */
function headerProblem(value: string): string | null {
  if (value !== value.trim()) return 'begins or ends with a space, which a header can not; take it away';
  return /^[\x20-\x7e]+$/.test(value) ? null : 'holds characters that are not ASCII, which a header can not';
}

/** RFC 6750, 2.1, with all visible characters: some servers give tokens that are no token68. */
function tokenProblem(value: string): string | null {
  if (value.includes(' ')) return 'holds a space; write the token alone into it, without "Bearer"';
  return headerProblem(value);
}

/** RFC 7617, 2. */
function userProblem(value: string): string | null {
  return value.includes(':') ? 'holds a colon, which a user name of HTTP Basic can not' : null;
}
