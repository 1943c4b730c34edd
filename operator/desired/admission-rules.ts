/**
 * Owns what the API server refuses for us, in CEL: which requests each policy looks at, what must be true, and what a person is told.
 * Invariant: no expression fails on an object that the API server accepts: what may be missing is asked for first.
 */
import type { ValidatingAdmissionPolicySpec } from 'kubernetes-types/admissionregistration/v1';
import { MANAGED_BY, MANAGED_BY_LABEL, RESOURCE_LABEL, SERVER_LABEL, SIDECAR_CONTAINER } from '../naming.ts';
import type { Settings } from '../settings.ts';

export type Rules = Pick<ValidatingAdmissionPolicySpec, 'matchConditions' | 'variables' | 'validations'>;

/** A resource that is going away promises nothing any more. */
const RESOURCE_STAYS = { name: 'resource-stays', expression: '!has(params.metadata.deletionTimestamp)' };

/** Text as a CEL literal: CEL knows all escapes of JSON. */
const cel = (text: string) => JSON.stringify(text);

/** Labels of the object, or of what stood there before; an empty map where there are none. */
const labelsOf = (object: 'object' | 'oldObject') =>
  `(${object} != null && has(${object}.metadata.labels) ? ${object}.metadata.labels : {})`;

/** Whether the resource's selector matches `labels`, the name of a variable. */
const selects = (labels: string) => `(
  (!has(params.spec.selector.matchLabels) || params.spec.selector.matchLabels.all(k,
    k in ${labels} && ${labels}[k] == params.spec.selector.matchLabels[k])) &&
  (!has(params.spec.selector.matchExpressions) || params.spec.selector.matchExpressions.all(e,
    e.operator == 'In' ? e.key in ${labels} && has(e.values) && ${labels}[e.key] in e.values :
    e.operator == 'NotIn' ? !(e.key in ${labels} && has(e.values) && ${labels}[e.key] in e.values) :
    e.operator == 'Exists' ? e.key in ${labels} : !(e.key in ${labels}))))`;

/** The image without tag and digest, which change from version to version. */
export function imageRepository(image: string): string {
  const [name = ''] = image.split('@');
  const colon = name.lastIndexOf(':');
  return colon > name.lastIndexOf('/') ? name.slice(0, colon) : name;
}

/** Whether a pod has the recorder, in any of its versions, started as its image says. */
function carriesRecorder(image: string): string {
  const repository = imageRepository(image).replaceAll(/[^A-Za-z0-9/_-]/g, '[$&]');
  const pattern = `^${repository}(:[A-Za-z0-9_.-]+)?(@sha256:[0-9a-f]{64})?$`;
  return `object.spec.?initContainers.orValue([]).exists_one(c, c.name == ${cel(SIDECAR_CONTAINER)} &&
    c.?restartPolicy.orValue('') == 'Always' && c.?image.orValue('').matches(${cel(pattern)}) && !has(c.command) && !has(c.args))`;
}

/** A pod that a resource selects carries the recorder: the webhook adds it, and this refuses what came past the webhook. */
export function injectedRules({ sidecar, namespace }: Settings): Rules {
  return {
    matchConditions: [RESOURCE_STAYS],
    variables: [{ name: 'labels', expression: labelsOf('object') }],
    validations: [
      {
        expression: `!${selects('variables.labels')} || ${carriesRecorder(sidecar.image)}`,
        messageExpression: `"RecordedMCPServer " + params.metadata.name + " selects this pod, so it must carry the recorder. The webhook of the operator in namespace " + ${cel(namespace)} + " adds it, and this pod came without; see whether the operator runs"`,
        message:
          'a RecordedMCPServer selects this pod, so it must carry the recorder; see whether the operator runs',
        reason: 'Forbidden',
      },
    ],
  };
}

/** The label by which the NetworkPolicy selects stands on pods with the recorder, all their lives; and so does the recorder. */
export function markerRules({ sidecar }: Settings): Rules {
  const marker = (labels: string) => `${labels}[?${cel(SERVER_LABEL)}].orValue('')`;
  const imagesOf = (pod: string) =>
    `${pod}.spec.?initContainers.orValue([]).filter(c, c.name == ${cel(SIDECAR_CONTAINER)}).map(c, c.?image.orValue(''))`;
  return {
    matchConditions: [
      {
        name: 'marked',
        expression: `${cel(SERVER_LABEL)} in ${labelsOf('object')} || ${cel(SERVER_LABEL)} in ${labelsOf('oldObject')}`,
      },
    ],
    variables: [
      { name: 'labels', expression: labelsOf('object') },
      { name: 'before', expression: labelsOf('oldObject') },
    ],
    validations: [
      {
        expression: `request.operation != 'CREATE' || ${carriesRecorder(sidecar.image)}`,
        message: `the label ${SERVER_LABEL} marks pods that carry the recorder, and this one does not. Leave the label out; the operator's webhook sets it`,
        reason: 'Forbidden',
      },
      {
        expression: `request.operation != 'UPDATE' || ${marker('variables.labels')} == ${marker('variables.before')}`,
        message: `the label ${SERVER_LABEL} closes the ways around the recorder, and no pod gets or loses it in its life. Delete the pod, or its RecordedMCPServer`,
        reason: 'Forbidden',
      },
      {
        expression: `request.operation != 'UPDATE' || ${imagesOf('object')} == ${imagesOf('oldObject')}`,
        message: `the image of a running recorder can't be changed. Restart the pod's workload: new pods get the image of the operator's settings`,
        reason: 'Forbidden',
      },
    ],
  };
}

/** Labels of a living pod do not take it into a selection or out of it. Other labels change as ever: leaders are marked by them. */
export function selectionRules(): Rules {
  return {
    matchConditions: [
      RESOURCE_STAYS,
      { name: 'labels-change', expression: `${labelsOf('object')} != ${labelsOf('oldObject')}` },
    ],
    variables: [
      { name: 'labels', expression: labelsOf('object') },
      { name: 'before', expression: labelsOf('oldObject') },
    ],
    validations: [
      {
        expression: `${selects('variables.labels')} == ${selects('variables.before')}`,
        messageExpression: `"these labels take a running pod into the selection of RecordedMCPServer " + params.metadata.name + " or out of it. A pod gets its recorder when it is created: change the labels in the template of its workload"`,
        message:
          'these labels take a running pod into the selection of a RecordedMCPServer or out of it: change them in the template of its workload',
        reason: 'Forbidden',
      },
    ],
  };
}

/** What the operator made for a resource is changed by it alone; removed also by the garbage collector, or with the whole namespace. */
export function ownedRules({ namespace, serviceAccount }: Settings): Rules {
  const mayChange = [
    `system:serviceaccount:${namespace}:${serviceAccount}`,
    'system:serviceaccount:kube-system:namespace-controller',
    'system:serviceaccount:kube-system:generic-garbage-collector',
    // Both of these, where the cluster's controllers have no accounts of their own.
    'system:kube-controller-manager',
  ];
  const ours = (labels: string) =>
    `(${labels}[?${cel(MANAGED_BY_LABEL)}].orValue('') == ${cel(MANAGED_BY)} && ${cel(RESOURCE_LABEL)} in ${labels})`;
  return {
    matchConditions: [
      { name: 'ours', expression: `${ours(labelsOf('object'))} || ${ours(labelsOf('oldObject'))}` },
    ],
    validations: [
      {
        expression: `request.userInfo.username in [${mayChange.map(cel).join(', ')}] ||
          (request.operation == 'DELETE' && has(namespaceObject.metadata.deletionTimestamp))`,
        message:
          'the operator of mcp-recorder keeps this object for a RecordedMCPServer, and nobody else changes it. Change or delete the RecordedMCPServer',
        reason: 'Forbidden',
      },
    ],
  };
}

/**
 * The garbage collector deletes what has lost its owners, with rights of its own: who may write a resource and may not delete it must not give it
 * an owner that they delete in its place.
 */
export function keptRules(): Rules {
  const ownersOf = (object: 'object' | 'oldObject') =>
    `(${object} != null && has(${object}.metadata.ownerReferences) ? ${object}.metadata.ownerReferences : [])`;
  return {
    matchConditions: [
      { name: 'owners-change', expression: `${ownersOf('object')} != ${ownersOf('oldObject')}` },
    ],
    validations: [
      {
        expression: `authorizer.group('mcp-recorder.dev').resource('recordedmcpservers').namespace(request.namespace).name(object.metadata.?name.orValue('')).check('delete').allowed()`,
        message:
          'a RecordedMCPServer is deleted with its owners, so its ownerReferences are set by who may delete it. Leave them as they are',
        reason: 'Forbidden',
      },
    ],
  };
}

/** Ways into a pod that no NetworkPolicy sees, for namespaces with a resource; a right of its own lets people through. */
export function connectRules(): Rules {
  return {
    matchConditions: [RESOURCE_STAYS],
    validations: [
      {
        expression: `authorizer.group('mcp-recorder.dev').resource('recordedmcpservers').namespace(request.namespace).name(params.metadata.name).check('bypass').allowed()`,
        messageExpression: `"exec, attach, port-forward, proxies and ephemeral containers lead around the recorder of RecordedMCPServer " + params.metadata.name + ". Who must use them in this namespace needs the verb bypass on it"`,
        message:
          'exec, attach, port-forward, proxies and ephemeral containers lead around the recorder. Who must use them in this namespace needs the verb bypass on recordedmcpservers',
        reason: 'Forbidden',
      },
    ],
  };
}
