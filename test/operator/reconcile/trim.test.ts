import type { EndpointSlice } from 'kubernetes-types/discovery/v1';
import { expect, it } from 'vitest';
import type { Stored } from '../../../operator/reconcile/kinds.ts';
import { trimEndpointSlice } from '../../../operator/reconcile/trim.ts';

it('takes the nulls of an empty slice for empty lists, as a Service whose last pod has gone has one', () => {
  const empty = {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: 'web-x2k9z', namespace: 'tools' },
    addressType: 'IPv4',
    endpoints: null,
    ports: null,
  } as unknown as Stored<EndpointSlice>;
  expect(trimEndpointSlice(empty)).toMatchObject({ endpoints: [], ports: [] });
});
