/**
 * Owns the ConfigMap of one resource: the recorders' configuration under the operator's signature.
 * Invariant: nothing is signed that was not made here; a ConfigMap that somebody changed is never signed again as it is.
 */
import { configurationDigest, SIGNATURE_FILE } from '@mcp-recorder/sidecar/config/signature';
import type { ConfigMap } from 'kubernetes-types/core/v1';
import type { RecordedMCPServer } from '../api/recorded-mcp-server.ts';
import { ownedMetadata } from './owned.ts';

/** The ConfigMap with these files. @param sign makes the content of the file `signature` */
export function configMapOf(
  resource: RecordedMCPServer,
  files: Record<string, string>,
  sign: (files: Record<string, string>) => string,
): ConfigMap {
  return configMapWith(resource, { ...files, [SIGNATURE_FILE]: sign(files) });
}

/** The ConfigMap that stands, with its content as it is: what recorders run on while the resource asks for something impossible. */
export function keptConfigMap(resource: RecordedMCPServer, standing: ConfigMap | null): ConfigMap | null {
  return standing === null ? null : configMapWith(resource, standing.data ?? {});
}

function configMapWith(resource: RecordedMCPServer, data: Record<string, string>): ConfigMap {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: ownedMetadata(resource), data };
}

/** What recorders that run on this ConfigMap give as the digest of their configuration; null without one. */
export function configMapDigest({ metadata }: RecordedMCPServer, configMap: ConfigMap | null): string | null {
  if (configMap === null) return null;
  return configurationDigest(metadata.namespace ?? '', metadata.name ?? '', configMap.data ?? {});
}

/** Whether a ConfigMap stands with exactly the files that are wanted. */
export function holdsSameFiles(wanted: ConfigMap, standing: ConfigMap | null): boolean {
  const [first, second] = [wanted.data ?? {}, standing?.data ?? {}];
  const names = new Set([
    ...Object.keys(first),
    ...Object.keys(second),
    ...Object.keys(standing?.binaryData ?? {}),
  ]);
  return standing !== null && [...names].every((name) => first[name] === second[name]);
}

/** Whether the ConfigMap stands with a signature of the operator's. */
export function isSigned(
  standing: ConfigMap | null,
  sign: (files: Record<string, string>) => string,
): boolean {
  if (standing === null || Object.keys(standing.binaryData ?? {}).length > 0) return false;
  const { [SIGNATURE_FILE]: signature, ...files } = standing.data ?? {};
  return signature !== undefined && signature === sign(files);
}
