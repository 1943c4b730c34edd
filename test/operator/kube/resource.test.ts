import { describe, expect, it } from 'vitest';
import {
  apiVersionOf,
  keyOf,
  nameOfKey,
  type Resource,
  resourcePath,
} from '../../../operator/kube/resource.ts';

const PODS: Resource = { group: '', version: 'v1', plural: 'pods', kind: 'Pod', namespaced: true };
const ROLES: Resource = {
  group: 'rbac.authorization.k8s.io',
  version: 'v1',
  plural: 'clusterroles',
  kind: 'ClusterRole',
  namespaced: false,
};

describe('a path of the API', () => {
  it.each([
    [PODS, { namespace: null }, '/api/v1/pods'],
    [PODS, { namespace: 'tools' }, '/api/v1/namespaces/tools/pods'],
    [
      PODS,
      { namespace: 'tools', name: 'a', subresource: 'eviction' },
      '/api/v1/namespaces/tools/pods/a/eviction',
    ],
    [ROLES, { namespace: null, name: 'r' }, '/apis/rbac.authorization.k8s.io/v1/clusterroles/r'],
    [ROLES, { namespace: 'ignored', name: 'r' }, '/apis/rbac.authorization.k8s.io/v1/clusterroles/r'],
    [
      ROLES,
      { namespace: null, name: 'system:x/../y' },
      '/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Ax%2F..%2Fy',
    ],
  ])('leads to %o at %o', (resource, at, path) => {
    expect(resourcePath(resource, at)).toBe(path);
  });

  it('is refused for an object whose namespace is not known: it would be that of another', () => {
    expect(() => resourcePath(PODS, { namespace: null, name: 'a' })).toThrow(/pods a: a Pod has a namespace/);
  });
});

describe('the key of an object', () => {
  it.each([
    ['tools/github', { namespace: 'tools', name: 'github' }],
    ['everywhere', { namespace: null, name: 'everywhere' }],
  ])('%s leads back to its name', (key, name) => {
    const metadata =
      name.namespace === null ? { name: name.name } : { name: name.name, namespace: name.namespace };
    expect(keyOf({ apiVersion: 'v1', kind: 'X', metadata })).toBe(key);
    expect(nameOfKey(key)).toEqual(name);
  });
});

it('names the version with its group', () => {
  expect([apiVersionOf(PODS), apiVersionOf(ROLES)]).toEqual(['v1', 'rbac.authorization.k8s.io/v1']);
});
