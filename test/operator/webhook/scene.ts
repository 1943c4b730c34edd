/**
 * Owns resources, settings and pods as the webhook's tests use them.
 * Invariant: a resource is as the API server gives it, with every default filled in.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Container, Pod } from 'kubernetes-types/core/v1';
import { parse } from 'yaml';
import type {
  AccessRule,
  RecordedMCPServer,
  RecordedMCPServerSpec,
} from '../../../operator/api/recorded-mcp-server.ts';
import type { Settings } from '../../../operator/settings.ts';
import { inject } from '../../../operator/webhook/inject/inject.ts';
import type { Injection } from '../../../operator/webhook/inject/injection.ts';

export const PODS = path.join(import.meta.dirname, 'pods');

export const settings: Settings = {
  fullname: 'mcp-recorder',
  namespace: 'mcp-recorder-system',
  serviceAccount: 'mcp-recorder',
  cluster: 'test',
  watchNamespaces: [],
  sidecar: {
    image: 'registry.example.com/mcp-recorder/sidecar@sha256:0123456789abcdef',
    imagePullPolicy: 'IfNotPresent',
    imagePullSecrets: [],
    ports: { recorder: 9080, status: 9081 },
    uid: 64_999,
    resources: { requests: { cpu: '50m', memory: '96Mi' }, limits: { memory: '256Mi' } },
    drainSeconds: 15,
  },
  stores: {
    default: { s3: { bucket: 'recordings', credentialsSecret: 'recorder-s3' } },
    identity: { s3: { bucket: 'recordings', region: 'eu-central-1' } },
  },
  policy: {
    allowInlineStorage: false,
    allowFailOpen: false,
    maxUploadLag: '5m',
    minimumCommit: 'Spool',
    allowWithholding: true,
    auth: { requireIdentity: false, allowedIssuers: [] },
    rules: [],
    masking: { base64: false, rules: [] },
  },
  monitoring: null,
  restrictConnect: false,
  webhook: { service: 'mcp-recorder-webhook', port: 9443 },
  status: { port: 8080 },
};

type Given = { [P in keyof RecordedMCPServerSpec]?: Partial<RecordedMCPServerSpec[P]> };

/** A resource of namespace `tools` that selects `app: NAME`, with what is given in place of the defaults. */
export function resource(
  name: string,
  given: Given = {},
  metadata: RecordedMCPServer['metadata'] = {},
): RecordedMCPServer {
  return {
    apiVersion: 'mcp-recorder.dev/v1alpha1',
    kind: 'RecordedMCPServer',
    metadata: {
      name,
      namespace: 'tools',
      uid: `uid-of-${name}`,
      creationTimestamp: '2026-11-26T00:00:00Z',
      ...metadata,
    },
    spec: {
      selector: { matchLabels: { app: name }, ...given.selector },
      server: { ...given.server },
      storage: given.storage ?? { store: 'default' },
      auth: { mode: 'Anonymous', clockSkew: '60s', maxKeyAge: '1h', ...given.auth },
      ...(given.rules === undefined ? {} : { rules: given.rules as AccessRule[] }),
      ...(given.masking === undefined ? {} : { masking: { base64: false, ...given.masking } }),
      traffic: { mode: 'Service', ...given.traffic },
      adoption: (given.adoption as 'Rolling' | undefined) ?? 'Rolling',
      recording: {
        commit: 'Spool',
        onFailure: 'Closed',
        maxUploadLag: '30s',
        maxRequestBytes: '4Mi',
        spool: { sizeLimit: '512Mi' },
        ...given.recording,
      },
    },
  };
}

/** What an injection is given, the same at each call. */
export function injection(of: RecordedMCPServer, changed: Partial<Injection> = {}): Injection {
  return {
    resource: of,
    settings,
    configKeys: ['ed25519:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA='],
    drainPath: '/drain/00112233445566778899aabbccddeeff',
    sessionKey: 'MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=',
    ...changed,
  };
}

/** A pod of test/operator/webhook/pods. */
export function podFrom(file: string): Pod {
  return parse(readFileSync(path.join(PODS, `${file}.yaml`), 'utf8')) as Pod;
}

/** Injects and expects that it can be done. */
export function injected(pod: Pod, given: Injection) {
  const result = inject(pod, given);
  if (!result.ok) throw new Error(result.refused);
  return result;
}

/** Why a pod is refused. */
export function refusal(pod: Pod, given: Injection): string {
  const result = inject(pod, given);
  return result.ok ? 'not refused' : result.refused;
}

/** The first container. */
export function serverOf(pod: Pod): Container {
  const [server] = pod.spec?.containers ?? [];
  if (server === undefined) throw new Error('the pod has no container');
  return server;
}

/** The recorder of a pod. */
export function sidecarOf(pod: Pod): Container {
  const found = pod.spec?.initContainers?.find(({ name }) => name === 'mcp-recorder');
  if (found === undefined) throw new Error('the pod has no recorder');
  return found;
}
