/**
 * Owns the form in which the API server asks and is answered: AdmissionReview v1 in, a verdict with a JSON patch out.
 * Invariant: what can't be read is answered with null, never guessed; a patch leads from the object that was sent to the one that is wanted,
 * and costs time in proportion to their size.
 */
import { createPatch, type Operation } from 'rfc6902';
import { canonicalJson } from '../desired/canonical-json.ts';

/** What of a request verdicts depend on. */
export interface AdmissionRequest {
  uid: string;
  operation: string;
  namespace: string;
  /** As the API server decoded it, defaults filled in. Null for a deletion. */
  object: unknown;
}

export type Verdict =
  /** `object` is what is wanted in place of what was sent; null: it stays. Warnings are shown to who made the request. */
  | { allowed: true; object: object | null; warnings: string[] }
  | { allowed: false; code: 403 | 500; message: string };

export const UNCHANGED: Verdict = { allowed: true, object: null, warnings: [] };

/** Reads a request; null when it is none of version 1. */
export function readReview(text: string): AdmissionRequest | null {
  let review: unknown;
  try {
    review = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isObject(review) || review['kind'] !== 'AdmissionReview') return null;
  if (review['apiVersion'] !== 'admission.k8s.io/v1' || !isObject(review['request'])) return null;
  const { uid, operation, namespace, object = null } = review['request'];
  if (typeof uid !== 'string' || uid === '') return null;
  if (typeof operation !== 'string' || typeof namespace !== 'string') return null;
  return { uid, operation, namespace, object };
}

export interface Answer {
  /** As it is sent. */
  body: string;
  outcome: 'changed' | 'unchanged' | 'refused' | 'failed';
}

/** The answer to a request. */
export function writeReview({ uid, object }: AdmissionRequest, verdict: Verdict): Answer {
  if (!verdict.allowed) {
    return { body: bodyOf(uid, denied(verdict)), outcome: verdict.code === 403 ? 'refused' : 'failed' };
  }
  const patch = verdict.object === null ? [] : patchOf(object, verdict.object);
  const warnings = verdict.warnings.length === 0 ? {} : { warnings: verdict.warnings };
  if (patch.length === 0) return { body: bodyOf(uid, { allowed: true, ...warnings }), outcome: 'unchanged' };
  const encoded = Buffer.from(JSON.stringify(patch)).toString('base64');
  const changed = { allowed: true, ...warnings, patchType: 'JSONPatch', patch: encoded };
  return { body: bodyOf(uid, changed), outcome: 'changed' };
}

function bodyOf(uid: string, response: object): string {
  return JSON.stringify({
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    response: { uid, ...response },
  });
}

function denied({ code, message }: Extract<Verdict, { allowed: false }>): object {
  const reason = code === 403 ? 'Forbidden' : 'InternalError';
  return { allowed: false, status: { code, reason, message } };
}

/**
 * The steps from one object to the other. Lists that differ are replaced whole: to find the least steps between two takes time and memory by
 * the product of their lengths, which whoever writes a pod chooses.
 */
function patchOf(before: unknown, after: object): Operation[] {
  return createPatch(before, after, (input, output, pointer) => {
    if (!Array.isArray(input) || !Array.isArray(output)) return undefined;
    if (canonicalJson(input) === canonicalJson(output)) return [];
    return [{ op: 'replace', path: pointer.toString(), value: output }];
  });
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
