/**
 * Owns the verdicts on pods, Services and the resources themselves: which resource is meant, and what follows.
 * Invariant: a pod that a resource selects gets the recorder or is refused, whatever fails here; nothing is written anywhere, so a dry run
 * needs no care.
 */
import { randomBytes } from 'node:crypto';
import type { Pod, Service } from 'kubernetes-types/core/v1';
import type { RecordedMCPServer } from '../api/recorded-mcp-server.ts';
import { accessProblems } from '../desired/configuration-check.ts';
import { oldestMatching } from '../desired/selectors.ts';
import { SERVER_LABEL } from '../naming.ts';
import type { Settings } from '../settings.ts';
import { type AdmissionRequest, UNCHANGED, type Verdict } from './admission.ts';
import { inject } from './inject/inject.ts';
import { unselectedMessage } from './inject/refusals.ts';
import { drainPathOf } from './inject/sidecar.ts';
import { decideTarget } from './services/decide.ts';
import { retarget } from './services/retarget.ts';

/** What is known of the cluster. */
export interface Lookup {
  /**
   * All resources of a namespace. @param fresh ask the API server itself: what is known does not explain why we were asked
   * @throws when they can't be found out
   */
  resourcesOf(namespace: string, fresh: boolean): Promise<readonly RecordedMCPServer[]>;
  /** Pods of a namespace, at least those that resources select, with labels, annotations and spec. May be some seconds old. */
  podsOf(namespace: string): Promise<readonly Pod[]>;
}

export interface JudgeParts {
  lookup: Lookup;
  settings: Settings;
  /** `ed25519:<base64>`, as they are now. */
  configKeys(): readonly string[];
  /** Base64; the same for all pods of a server. */
  sessionKey(namespace: string, name: string): string;
}

/** The verdict on a pod that is to be made. */
export async function judgePod(request: AdmissionRequest, parts: JudgeParts): Promise<Verdict> {
  if (request.operation !== 'CREATE') return UNCHANGED;
  const { namespace } = request;
  const pod = request.object as Pod;
  // An entry matched, so a resource selects the pod, or did a moment ago: one that is not known yet must not let the pod pass bare.
  const labels = pod.metadata?.labels;
  const resource =
    oldestMatching(await parts.lookup.resourcesOf(namespace, false), labels) ??
    oldestMatching(await parts.lookup.resourcesOf(namespace, true), labels);
  if (resource === null) {
    const claimed = labels?.[SERVER_LABEL];
    if (claimed === undefined) return UNCHANGED;
    return { allowed: false, code: 403, message: unselectedMessage(namespace, claimed) };
  }
  const result = inject(pod, {
    resource,
    settings: parts.settings,
    configKeys: parts.configKeys(),
    // A second call for the same pod must change nothing.
    drainPath: drainPathOf(pod) ?? `/drain/${randomBytes(16).toString('hex')}`,
    sessionKey: parts.sessionKey(namespace, resource.metadata.name ?? ''),
  });
  if (!result.ok) return { allowed: false, code: 403, message: result.refused };
  return { allowed: true, object: result.pod, warnings: [] };
}

/** The verdict on a Service that is made or changed. */
export async function judgeService(request: AdmissionRequest, parts: JudgeParts): Promise<Verdict> {
  if (request.operation !== 'CREATE' && request.operation !== 'UPDATE') return UNCHANGED;
  const { namespace } = request;
  const service = request.object as Service;
  const [resources, pods] = await Promise.all([
    parts.lookup.resourcesOf(namespace, false),
    parts.lookup.podsOf(namespace),
  ]);
  const decision = decideTarget(service, { resources, pods, settings: parts.settings });
  if (decision === null) return UNCHANGED;
  const wanted = retarget(service, decision);
  return {
    allowed: true,
    object: wanted,
    warnings: decision.target === 'recorder' ? notes(service, wanted) : [],
  };
}

/** The verdict on a resource whose `spec` is new. */
export function judgeResource(request: AdmissionRequest, { settings }: JudgeParts): Promise<Verdict> {
  if (request.operation !== 'CREATE' && request.operation !== 'UPDATE') return Promise.resolve(UNCHANGED);
  const problems = accessProblems(request.object as RecordedMCPServer, settings);
  if (problems.length === 0) return Promise.resolve(UNCHANGED);
  return Promise.resolve({ allowed: false, code: 403, message: problems.join('\n') });
}

/** Why what comes of an `apply` is not what was applied. The API server cuts warnings at 256 characters. */
function notes(sent: Service, wanted: Service): string[] {
  return (wanted.spec?.ports ?? []).flatMap(({ port, targetPort }, index) => {
    const before = sent.spec?.ports?.[index]?.targetPort ?? port;
    if (before === targetPort) return [];
    return [
      `mcp-recorder: port ${port} leads to the recorder (${targetPort}) in front of ${before}, because a RecordedMCPServer selects these pods`,
    ];
  });
}
