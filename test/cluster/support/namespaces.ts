/**
 * Owns the namespaces that suites make.
 * Invariant: each is new, and removed when its suite is done; its name is no other run's, so that what one left behind disturbs none.
 */
import { randomBytes } from 'node:crypto';
import { apply, kubectl } from './kubectl.ts';

const made = new Set<string>();

/**
 * Makes a namespace of that name with four more characters.
 * @param labels e.g. those of Pod Security admission
 */
export async function freshNamespace(name: string, labels: Record<string, string> = {}): Promise<string> {
  const unique = `${name}-${randomBytes(2).toString('hex')}`;
  await apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: unique, labels } });
  made.add(unique);
  return unique;
}

export function namespacesMade(): string[] {
  return [...made];
}

/** Begins the deletion of all of them, and does not wait: what blocks it must not hold up the next suite. */
export async function removeNamespaces(): Promise<void> {
  const names = namespacesMade();
  made.clear();
  if (names.length > 0)
    await kubectl(['delete', 'namespace', '--wait=false', '--ignore-not-found', ...names]);
}
