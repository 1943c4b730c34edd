/** Pods are touched once for each configuration, so that their kubelets bring it at once. */
import { expect, it } from 'vitest';
import { decide } from '../../../operator/desired/decide.ts';
import { carriedOut, digestOf, enforcedWorld, heard, wanting } from './world.ts';

const changed = { maxUploadLag: '7s' };

it('touches each pod when the new configuration stands and its recorder runs on another', () => {
  const before = enforcedWorld();
  expect(decide(before).touch).toEqual([]);
  const wanted = wanting(before, { recording: { ...before.resource.spec.recording, ...changed } });
  const first = decide(wanted);
  // The ConfigMap does not stand yet: a kubelet that looked now would bring the old one.
  expect(first.touch).toEqual([]);
  const written = carriedOut(wanted, first);
  const digest = digestOf(written.configMap);
  const second = decide(written);
  expect(second.touch).toEqual([
    { name: 'github-0', uid: expect.any(String), digest },
    { name: 'github-1', uid: expect.any(String), digest },
  ]);

  const touched = {
    ...written,
    pods: written.pods.map((pod) => ({
      ...pod,
      metadata: {
        ...pod.metadata,
        annotations: { ...pod.metadata?.annotations, 'mcp-recorder.dev/configuration': digest },
      },
    })),
  };
  expect(decide(touched).touch).toEqual([]);
  const taken = heard(written, { configuration: { digest, restartNeeded: [], refused: null } });
  expect(decide(taken).touch).toEqual([]);
});

it('leaves pods alone that take nothing over without a restart, and those that are not heard', () => {
  const before = enforcedWorld();
  const wanted = wanting(before, { recording: { ...before.resource.spec.recording, ...changed } });
  const written = carriedOut(wanted, decide(wanted));
  const digest = digestOf(before.configMap);
  expect(
    decide(heard(written, { configuration: { digest, restartNeeded: ['listen'], refused: null } })).touch,
  ).toEqual([]);
  expect(decide({ ...written, looks: new Map() }).touch).toEqual([]);
});
