/**
 * Owns changes to what a pod had before the recorder came, and the record by which they are taken back.
 * Invariant: after `undo` each field is as it was, unless somebody else has written it since: then it is theirs and stays.
 * The record does not repeat what was written, only its digest, and of the environment only the variables concerned.
 */
import type { Container, EnvVar, Pod, PodSpec } from 'kubernetes-types/core/v1';
import { digestOf } from '../../desired/canonical-json.ts';

/** `container` null: a field of the pod's spec. `before` absent: there was none. */
export interface Change {
  container: string | null;
  field: string;
  /** For the field `env`: the variable; the others are not looked at. */
  variable?: string;
  before?: unknown;
  /** Digest of what we wrote. */
  after: string;
}

export interface Changes {
  setPodField<F extends keyof PodSpec>(field: F, value: PodSpec[F] | undefined): void;
  setField<F extends keyof Container>(container: Container, field: F, value: Container[F] | undefined): void;
  /** Sets or replaces one environment variable. */
  setVariable(container: Container, variable: EnvVar): void;
  readonly record: readonly Change[];
}

/** Changes a pod in place and keeps the record. */
export function createChanges(spec: PodSpec): Changes {
  const record: Change[] = [];

  /** A field that is written twice keeps what it was at first. */
  function note(
    container: string | null,
    field: string,
    variable: string | null,
    before: unknown,
    value: unknown,
  ) {
    const known = record.find(
      (change) =>
        change.container === container && change.field === field && (change.variable ?? null) === variable,
    );
    if (known !== undefined) {
      known.after = digestOf(value);
      return;
    }
    record.push({
      container,
      field,
      ...(variable === null ? {} : { variable }),
      ...(before === undefined ? {} : { before: structuredClone(before) }),
      after: digestOf(value),
    });
  }

  return {
    setPodField(field, value) {
      note(null, field, null, spec[field], value);
      assign(spec, field, value);
    },
    setField(container, field, value) {
      note(container.name, field, null, container[field], value);
      assign(container, field, value);
    },
    setVariable(container, variable) {
      const index = container.env?.findIndex(({ name }) => name === variable.name) ?? -1;
      note(container.name, 'env', variable.name, container.env?.[index], variable);
      if (index < 0) container.env = [...(container.env ?? []), variable];
      else container.env = container.env?.with(index, variable) ?? [variable];
    },
    record,
  };
}

/** Takes changes back, in place. Containers that are gone are passed over. */
export function undo(pod: Pod, record: readonly Change[]): void {
  const spec = pod.spec;
  if (spec === undefined) return;
  for (const { container: name, field, variable, before, after } of record) {
    const owner =
      name === null
        ? spec
        : [...spec.containers, ...(spec.initContainers ?? [])].find((c) => c.name === name);
    if (owner === undefined) continue;
    if (variable !== undefined)
      undoVariable(owner as Container, variable, before as EnvVar | undefined, after);
    else if (digestOf(owner[field as keyof typeof owner]) === after)
      assign(owner, field as never, before as never);
  }
}

function undoVariable(
  container: Container,
  variable: string,
  before: EnvVar | undefined,
  after: string,
): void {
  const env = container.env ?? [];
  const index = env.findIndex(({ name }) => name === variable);
  if (index < 0 || digestOf(env[index]) !== after) return;
  const restored = before === undefined ? env.toSpliced(index, 1) : env.with(index, before);
  assign(container, 'env', restored.length === 0 ? undefined : restored);
}

function assign<T extends object, F extends keyof T>(owner: T, field: F, value: T[F] | undefined): void {
  if (value === undefined) delete owner[field];
  else owner[field] = value;
}

/** Reads a record from a pod's annotation; null when it is none that we wrote. */
export function readChanges(text: string | undefined): Change[] | null {
  if (text === undefined) return null;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  return Array.isArray(value) && value.every(isChange) ? value : null;
}

/** Fields that a record may name: a forged one must not reach others, nor the prototype. */
const FIELDS = new Set([
  'args',
  'env',
  'imagePullSecrets',
  'lifecycle',
  'livenessProbe',
  'ports',
  'readinessProbe',
  'securityContext',
  'startupProbe',
  'terminationGracePeriodSeconds',
]);

function isChange(value: unknown): value is Change {
  if (typeof value !== 'object' || value === null) return false;
  const { container, field, variable, after } = value as Partial<Record<keyof Change, unknown>>;
  return (
    (container === null || typeof container === 'string') &&
    typeof field === 'string' &&
    FIELDS.has(field) &&
    (variable === undefined || (typeof variable === 'string' && field === 'env' && container !== null)) &&
    typeof after === 'string'
  );
}
