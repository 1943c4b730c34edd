/**
 * Owns where a call goes and how messages and counts name it.
 */
import { type Resource, resourcePath } from './resource.ts';
import type { KubeRequest } from './transport.ts';

/** A collection, an object or its subresource. */
export interface Place {
  /** Null: all namespaces, or a kind without. */
  namespace: string | null;
  name?: string | undefined;
  subresource?: string | undefined;
}

const METHODS = {
  get: 'GET',
  list: 'GET',
  watch: 'GET',
  create: 'POST',
  update: 'PUT',
  apply: 'PATCH',
  patch: 'PATCH',
  delete: 'DELETE',
} as const;

/** @param at for `create`, what is created: the call goes to its collection, or to the subresource of the object */
export function addressOf(
  verb: keyof typeof METHODS,
  resource: Resource,
  at: Place,
): Pick<KubeRequest, 'verb' | 'method' | 'resource' | 'object' | 'path'> {
  const { namespace: given, name, subresource } = at;
  const namespace = resource.namespaced ? given : null;
  const isPosted = verb === 'create' && subresource === undefined;
  const place = [namespace, name].filter((part) => part !== null && part !== undefined).join('/');
  return {
    verb,
    method: METHODS[verb],
    resource: subresource === undefined ? resource.plural : `${resource.plural}/${subresource}`,
    object: name === undefined && namespace !== null ? `in ${namespace}` : place,
    path: resourcePath(resource, {
      namespace,
      ...(name === undefined || isPosted ? {} : { name }),
      ...(subresource === undefined ? {} : { subresource }),
    }),
  };
}
