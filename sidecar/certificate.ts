/**
 * Owns the certificates of the status port: its own, which nobody can check, and the operator's, which is checked here.
 * Invariant: who is the operator is decided at each request by the authorities that are in force then, not by what a connection was told.
 */
import type { X509Certificate } from 'node:crypto';
import { runApart } from './apart.ts';
import { readAuthorities } from './config/authorities.ts';

/** PEM both. */
export interface MadeCertificate {
  key: string;
  certificate: string;
}

const OPERATOR = 'mcp-recorder-operator';
/** Extended key usage: TLS client (RFC 5280, 4.2.1.12). */
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';

/** A new key with a certificate of its own. @throws Error when no process can be started, or it fails */
export async function makeCertificate(): Promise<MadeCertificate> {
  return JSON.parse(await runApart('certificate-maker', '')) as MadeCertificate;
}

/**
 * Why a client is not the operator; null when it is. Its key was proven by the handshake.
 * @param certificate of the client; undefined when it sent none
 * @param operatorCa the authorities in force, PEM; one of them must have issued it itself
 */
export function operatorProblem(
  certificate: X509Certificate | undefined,
  operatorCa: string,
  nowMs: number,
): string | null {
  if (certificate === undefined) return 'no client certificate was sent';
  const issuer = readAuthorities(operatorCa).find(
    (authority) => certificate.checkIssued(authority) && certificate.verify(authority.publicKey),
  );
  if (issuer === undefined) return 'no authority of status.operatorCa issued the client certificate';
  for (const { validFromDate, validToDate } of [certificate, issuer]) {
    if (nowMs < validFromDate.getTime() || nowMs > validToDate.getTime()) {
      return 'the client certificate or its authority is not valid at this time';
    }
  }
  const usage = certificate.keyUsage as string[] | undefined;
  if (usage !== undefined && !usage.includes(CLIENT_AUTH)) {
    return 'the client certificate is not for TLS clients';
  }
  const name: unknown = certificate.toLegacyObject().subject?.CN;
  return name === OPERATOR ? null : `the client certificate is not for CN=${OPERATOR}`;
}
