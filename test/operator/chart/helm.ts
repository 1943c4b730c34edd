/**
 * Owns how tests render and install the chart: by helm itself, from values as a platform team would write them.
 */
import { execFile } from 'node:child_process';
import path from 'node:path';
import { parseAllDocuments } from 'yaml';
import type { KubeObject } from '../../../operator/kube/resource.ts';
import { hasRigProgram, rigProgram } from '../../support/rig-programs.ts';

export const CHART = path.join(import.meta.dirname, '../../../helm/mcp-recorder');
export const NAMESPACE = 'mcp-recorder-system';

export const HELM_IS_HERE = hasRigProgram('helm');
if (!HELM_IS_HERE) {
  process.stderr.write('The tests of the chart do not run: helm is not there (npm run cluster:build)\n');
}

/** Runs helm with values on its input. @throws with its words when it fails */
export function helm(args: readonly string[], values: object = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile(rigProgram('helm'), args, { maxBuffer: 2 ** 24 }, (error, out, err) =>
      error === null ? resolve(out) : reject(new Error(`${out}${err}`)),
    );
    child.stdin?.end(JSON.stringify(values));
  });
}

/** What stands in an object under these keys: `field(pod, 'spec', 'containers', 0)`. */
export function field<T = unknown>(of: object, ...keys: (string | number)[]): T {
  return keys.reduce<unknown>((inner, key) => (inner as Record<string, unknown> | undefined)?.[key], of) as T;
}

/** The objects that these values make, in the release `mcp-recorder`. */
export async function render(values: object = {}): Promise<KubeObject[]> {
  const args = [
    'template',
    'mcp-recorder',
    CHART,
    '--namespace',
    NAMESPACE,
    '--kube-version',
    '1.30.0',
    '--values',
    '-',
  ];
  return parseAllDocuments(await helm(args, values))
    .map((document) => document.toJS() as KubeObject | null)
    .filter((manifest) => manifest !== null);
}

/** The one object of this kind, and of this name where there are several. */
export function only(manifests: readonly KubeObject[], kind: string, name?: string): KubeObject {
  const found = manifests.filter(
    (manifest) => manifest.kind === kind && (name === undefined || manifest.metadata.name === name),
  );
  if (found.length !== 1) throw new Error(`${found.length} objects of kind ${kind} ${name ?? ''}, not one`);
  return found[0] as KubeObject;
}
