/**
 * Owns the question whether a running pod could be made anew with the recorder.
 * Invariant: what admission would refuse is told before anything is restarted for it: a rollout whose pods are refused only takes some away.
 */
import type { RecordedMCPServer } from '../api/recorded-mcp-server.ts';
import type { Settings } from '../settings.ts';
import { problemsOf } from '../webhook/inject/refusals.ts';
import { findServerPort } from '../webhook/inject/server-container.ts';
import { strip } from '../webhook/inject/strip.ts';
import type { PodFacts } from './pods.ts';

/** Why admission would refuse a pod like this one, with the resource as it is now; null: it would not. */
export function injectionProblem(
  { pod }: PodFacts,
  resource: RecordedMCPServer,
  settings: Settings,
): string | null {
  const found = findServerPort(resource, pod);
  if (!found.ok) return found.problem;
  const injection = { resource, settings, configKeys: [], drainPath: '', sessionKey: '' };
  const problems = problemsOf(strip(pod), injection, found.port, found.container);
  return problems.length === 0 ? null : problems.join(' ');
}
