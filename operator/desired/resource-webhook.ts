/**
 * Owns when the API server asks our webhook about resources themselves: so that who applies a wrong rule, pattern or issuer is told at once.
 * Invariant: it protects nothing. What comes past it is told in the resource's status and never reaches a recorder; so it is ignored when it
 * fails, and a dead operator keeps nobody from writing or deleting a resource.
 */
import type {
  ValidatingWebhook,
  ValidatingWebhookConfiguration,
} from 'kubernetes-types/admissionregistration/v1';
import { clusterNames } from '../naming.ts';
import type { Settings } from '../settings.ts';
import { clientConfigOf, inNamespaces, ownedByRole, rule, WEBHOOK_PATHS } from './webhook-configurations.ts';

const TIMEOUT_SECONDS = 5;
/** A finalizer that goes and a label that comes are no reason to refuse what was accepted before. */
const SPEC_IS_NEW =
  "!has(object.metadata.deletionTimestamp) && (request.operation == 'CREATE' || object.spec != oldObject.spec)";

/** @param caBundle PEM @param clusterRole the chart's, which takes it along when it goes */
export function resourceWebhook(
  settings: Settings,
  caBundle: string,
  clusterRole: { name: string; uid: string },
): ValidatingWebhookConfiguration {
  const { watchNamespaces, fullname } = settings;
  const resources = rule('recordedmcpservers', ['CREATE', 'UPDATE']);
  // The published types do not know conditions.
  const entry: ValidatingWebhook & { matchConditions: { name: string; expression: string }[] } = {
    name: 'resources.mcp-recorder.dev',
    clientConfig: clientConfigOf(settings, caBundle, WEBHOOK_PATHS.resources),
    rules: [{ ...resources, apiGroups: ['mcp-recorder.dev'], apiVersions: ['v1alpha1'] }],
    matchConditions: [{ name: 'spec-is-new', expression: SPEC_IS_NEW }],
    namespaceSelector: watchNamespaces.length === 0 ? {} : inNamespaces(watchNamespaces),
    objectSelector: {},
    failurePolicy: 'Ignore',
    timeoutSeconds: TIMEOUT_SECONDS,
    admissionReviewVersions: ['v1'],
    matchPolicy: 'Equivalent',
    sideEffects: 'None',
  };
  return {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingWebhookConfiguration',
    metadata: ownedByRole(clusterNames(fullname).resourceWebhook, clusterRole),
    webhooks: [entry],
  };
}
