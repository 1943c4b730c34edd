/**
 * Owns what a port's name means in a pod.
 * Invariant: a name may mean several ports; all of them are given, also those of init containers, which sidecars are.
 */
import type { Pod } from 'kubernetes-types/core/v1';

/** The TCP ports that the pod's own containers call so. */
export function portsNamed(name: string, { spec }: Pod): number[] {
  return [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])]
    .flatMap(({ ports = [] }) => ports)
    .filter((port) => port.name === name && (port.protocol ?? 'TCP') === 'TCP')
    .map(({ containerPort }) => containerPort);
}
