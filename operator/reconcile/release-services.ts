/**
 * Owns how Services lead back to their servers before an uninstall.
 * Invariant: what the users wrote comes back. The webhook is asked first, as the ports then stay their owners'; what it did not do is done by
 * hand when it is gone. Until then the annotation stays on: without it the webhook would lead a Service of a closed server to the recorder.
 */
import type { Service } from 'kubernetes-types/core/v1';
import type { RecordedMCPServer } from '../api/recorded-mcp-server.ts';
import type { KubeClient } from '../kube/client.ts';
import { ignoring } from '../kube/kube-error.ts';
import { ORIGINAL_PORTS_ANNOTATION, TARGET_ANNOTATION } from '../naming.ts';
import type { Settings } from '../settings.ts';
import { retarget } from '../webhook/services/retarget.ts';
import { SERVICES, type Stored } from './kinds.ts';

/** Services that we sent anywhere. @param namespace null: all */
export async function sentServices(client: KubeClient, namespace: string | null): Promise<Stored<Service>[]> {
  const services = await client.list(SERVICES, { namespace });
  return services.filter(({ metadata: { annotations = {} } }) =>
    [TARGET_ANNOTATION, ORIGINAL_PORTS_ANNOTATION].some((name) => annotations[name] !== undefined),
  );
}

/** Puts back what the webhook did not, and takes our annotations off. @param resources of all namespaces */
export async function leadBack(
  service: Stored<Service>,
  resources: readonly RecordedMCPServer[],
  { client, settings }: { client: KubeClient; settings: Settings },
): Promise<void> {
  const { namespace = null, name, resourceVersion } = service.metadata;
  const back = retarget(service, {
    target: 'server',
    serverPort: serverPortOf(service, resources),
    recorderPorts: [settings.sidecar.ports.recorder],
  });
  const isBack = JSON.stringify(back.spec?.ports) === JSON.stringify(service.spec?.ports);
  const annotations = { [TARGET_ANNOTATION]: null, [ORIGINAL_PORTS_ANNOTATION]: null };
  const change = {
    metadata: { resourceVersion, annotations },
    ...(isBack ? {} : { spec: { ports: back.spec?.ports } }),
  };
  await ignoring(client.patch(SERVICES, { namespace, name }, change), 'NotFound');
}

/** The server's port behind a Service, where all resources of its namespace agree. What was kept beside the port comes first anyway. */
function serverPortOf({ metadata }: Stored<Service>, resources: readonly RecordedMCPServer[]): number | null {
  const ports = resources
    .filter((resource) => resource.metadata.namespace === metadata.namespace)
    .map(({ spec, status }) => spec.server.port ?? status?.serverPort);
  const [port, ...others] = new Set(ports);
  return others.length === 0 ? (port ?? null) : null;
}
