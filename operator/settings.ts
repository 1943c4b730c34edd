/**
 * Owns the operator's settings: what the platform team set in the chart's values, as the chart renders it to a file.
 * Invariant: an unknown key is refused, never ignored; what the owner of a namespace asks for is held against `policy`.
 */
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { z } from 'zod';

const text = z.string().min(1);
const port = z.int().min(1).max(65_535);
const quantities = z.record(z.string(), z.union([z.string(), z.number()]));
/** A label selector as Kubernetes writes it; the API server checks it where it is used. */
const labelSelector = z.looseObject({});

const s3 = z.strictObject({
  bucket: text,
  prefix: z.string().optional(),
  region: text.optional(),
  endpoint: text.optional(),
  pathStyle: z.boolean().optional(),
  /** PEM of certificate authorities that are trusted beside those of the system. */
  ca: text.optional(),
  /** A Secret of this name in the namespace of each recorded server; without it the pods' own identity is used. */
  credentialsSecret: text.optional(),
  encryption: z.strictObject({ type: z.enum(['SSE-S3', 'SSE-KMS']), keyId: text.optional() }).optional(),
  objectLock: z.strictObject({ mode: z.enum(['GOVERNANCE', 'COMPLIANCE']), retainFor: text }).optional(),
  storageClass: text.optional(),
});

/** With those of a resource (64 at most) they are not more than a recorder takes. */
const MAX_RULES = 32;

/** As in a resource; the recorder's own reading checks what they say. */
const rule = z.strictObject({
  name: text,
  when: text,
  action: z.enum(['Deny', 'MetadataOnly']),
  message: text.exactOptional(),
  hideTools: z.boolean().exactOptional(),
});
const mask = z.strictObject({
  name: text.exactOptional(),
  appliesTo: z.enum(['Record', 'Wire', 'Both']).default('Record'),
  detectors: z.array(text).exactOptional(),
  keys: z.array(text).exactOptional(),
  paths: z.array(text).exactOptional(),
  pattern: text.exactOptional(),
});

const settingsSchema = z.strictObject({
  /** The chart's full name: the operator's objects in the cluster are named after it. */
  fullname: text,
  /** The operator's own namespace, and the service account that it and its webhook run as. */
  namespace: text,
  serviceAccount: text,
  /** Name of the cluster in the recordings. */
  cluster: text,
  /** Empty: all namespaces. */
  watchNamespaces: z.array(text).default([]),
  sidecar: z.strictObject({
    image: text,
    imagePullPolicy: z.enum(['Always', 'IfNotPresent', 'Never']).default('IfNotPresent'),
    /** Names of Secrets in the namespace of each recorded server. */
    imagePullSecrets: z.array(text).default([]),
    ports: z.strictObject({ recorder: port.default(9080), status: port.default(9081) }).prefault({}),
    uid: z.int().min(1).default(64_999),
    resources: z
      .strictObject({ requests: quantities.default({}), limits: quantities.default({}) })
      .prefault({}),
    /** How long calls under way may take to end when a pod stops, s. */
    drainSeconds: z.int().min(1).max(600).default(15),
  }),
  stores: z.record(z.string(), z.strictObject({ s3 })).default({}),
  /** Bounds for what resources may ask for. */
  policy: z
    .strictObject({
      allowInlineStorage: z.boolean().default(false),
      allowFailOpen: z.boolean().default(false),
      maxUploadLag: text.default('5m'),
      minimumCommit: z.enum(['Spool', 'ObjectStorage']).default('Spool'),
      /** Owners may withhold from the recording: by rules `MetadataOnly` and by masks. */
      allowWithholding: z.boolean().default(true),
      auth: z
        .strictObject({
          requireIdentity: z.boolean().default(false),
          /** Empty: any. `kubernetes`: the service accounts of this cluster. */
          allowedIssuers: z.array(text).default([]),
        })
        .prefault({}),
      /** Come before those of each resource. */
      rules: z.array(rule).max(MAX_RULES).default([]),
      masking: z
        .strictObject({ base64: z.boolean().default(false), rules: z.array(mask).max(MAX_RULES).default([]) })
        .prefault({}),
    })
    .prefault({}),
  /** Who may read the recorders' metrics beside the operator. */
  monitoring: z
    .strictObject({ namespaceSelector: labelSelector, podSelector: labelSelector.optional() })
    .nullable()
    .default(null),
  /** Refuse exec, attach, port-forward and proxy in namespaces with recorded servers to who may not `bypass`. */
  restrictConnect: z.boolean().default(false),
  webhook: z.strictObject({ service: text, port: port.default(9443) }),
  /** Health and metrics. */
  status: z.strictObject({ port: port.default(8080) }).prefault({}),
});

export type Settings = z.output<typeof settingsSchema>;
export type StoreSettings = z.output<typeof s3>;

/** A settings file that can't be used, and why, for people. */
export class SettingsError extends Error {}

/** Reads the file that the chart renders. @throws SettingsError with every problem found */
export function loadSettings(file: string): Settings {
  let content: unknown;
  try {
    content = parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new SettingsError(
      `${file} can't be read: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
  const checked = settingsSchema.safeParse(content);
  if (checked.success) return checked.data;
  const problems = checked.error.issues.map(
    ({ path, message }) => `  ${path.join('.') || 'file'}: ${message}`,
  );
  throw new SettingsError(`${file} can't be used; correct the chart's values:\n${problems.join('\n')}`);
}
