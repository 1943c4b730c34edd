/** Where Services lead: what the webhook decides, and what it does to their ports. */
import fc from 'fast-check';
import type { Pod, Service, ServicePort } from 'kubernetes-types/core/v1';
import { describe, expect, it } from 'vitest';
import type { RecordedMCPServer } from '../../../operator/api/recorded-mcp-server.ts';
import { inject } from '../../../operator/webhook/inject/inject.ts';
import { decideTarget } from '../../../operator/webhook/services/decide.ts';
import { type Retargeting, retarget } from '../../../operator/webhook/services/retarget.ts';
import { injection, podFrom, resource, settings } from './scene.ts';

const ORIGINALS = 'mcp-recorder.dev/original-target-ports';
const TARGET = 'mcp-recorder.dev/target';

function service(ports: ServicePort[], annotations: Record<string, string> = {}): Service {
  return {
    metadata: {
      name: 'gh',
      namespace: 'tools',
      ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
    },
    spec: { selector: { app: 'github-mcp' }, ports },
  };
}

/** As its user would, by hand. */
function pointAt(given: Service, targetPort: number): void {
  for (const port of given.spec?.ports ?? []) port.targetPort = targetPort;
}

const toRecorder: Retargeting = { target: 'recorder', serverPort: 8080, recorderPorts: [9080] };
const toServer: Retargeting = { ...toRecorder, target: 'server' };
const targets = (given: Service) => given.spec?.ports?.map(({ targetPort }) => targetPort);
const originals = (given: Service) => {
  const text = given.metadata?.annotations?.[ORIGINALS];
  return text === undefined ? null : JSON.parse(text);
};

describe('a Service that should lead to the recorder', () => {
  it('has its numeric target port changed, and keeps what it was by port and protocol', () => {
    const changed = retarget(service([{ port: 80, targetPort: 8080, protocol: 'TCP' }]), toRecorder);
    expect(targets(changed)).toEqual([9080]);
    expect(originals(changed)).toEqual({ '80/TCP': 8080 });
  });

  it('has a target port that is missing, and so the same as its port, changed too', () => {
    const changed = retarget(service([{ port: 8080 }]), toRecorder);
    expect(targets(changed)).toEqual([9080]);
    expect(targets(retarget(changed, toServer))).toEqual([8080]);
  });

  it('keeps ports by name, by another protocol, and to other ports than the server', () => {
    const given = service([
      { name: 'a', port: 80, targetPort: 'mcp' },
      { name: 'b', port: 81, targetPort: 8080, protocol: 'UDP' },
      { name: 'c', port: 82, targetPort: 9100 },
    ]);
    expect(retarget(given, toRecorder)).toEqual(given);
  });

  it('is the same when it comes again, as stored or as its user applies it', () => {
    const once = retarget(service([{ port: 80, targetPort: 8080 }]), toRecorder);
    expect(retarget(once, toRecorder)).toEqual(once);
    const applied = structuredClone(once);
    pointAt(applied, 8080);
    expect(retarget(applied, toRecorder)).toEqual(once);
  });

  it('stays as it is while nobody knows the port of the server', () => {
    const given = service([{ port: 80, targetPort: 8080 }]);
    expect(retarget(given, { ...toRecorder, serverPort: null })).toEqual(given);
  });

  it('follows its user to another port of the server, and forgets the one before', () => {
    const once = retarget(service([{ port: 80, targetPort: 8080 }]), toRecorder);
    pointAt(once, 8000);
    const moved = retarget(once, { ...toRecorder, serverPort: 8000 });
    expect(targets(moved)).toEqual([9080]);
    expect(originals(moved)).toEqual({ '80/TCP': 8000 });
  });

  it('lets its user point it elsewhere, and believes no stale entry then', () => {
    const once = retarget(service([{ port: 80, targetPort: 8080 }]), toRecorder);
    pointAt(once, 9100);
    const elsewhere = retarget(once, toRecorder);
    expect(targets(elsewhere)).toEqual([9100]);
    expect(originals(elsewhere)).toBeNull();
    expect(targets(retarget(elsewhere, toServer))).toEqual([9100]);
  });

  it('goes from the recorder of before to that of today, with the first original', () => {
    const once = retarget(service([{ port: 80, targetPort: 8080 }]), toRecorder);
    const later = retarget(once, { ...toRecorder, recorderPorts: [9180, 9080] });
    expect(targets(later)).toEqual([9180]);
    expect(originals(later)).toEqual({ '80/TCP': 8080 });
  });

  it('stays at the recorder when its server moves', () => {
    const once = retarget(service([{ port: 80, targetPort: 8080 }]), toRecorder);
    expect(retarget(once, { ...toRecorder, serverPort: 8000 })).toEqual(once);
  });
});

describe('a Service that should lead to the server', () => {
  it('gets back what its user wrote', () => {
    const given = service([{ port: 80, targetPort: 8080 }], { team: 'a' });
    expect(retarget(retarget(given, toRecorder), toServer)).toEqual(given);
  });

  it('gets it back when nobody knows the server any more', () => {
    const given = service([{ port: 80, targetPort: 8080 }]);
    const back = retarget(retarget(given, toRecorder), { ...toServer, serverPort: null });
    expect(back).toEqual(given);
  });

  it('gets the port of the server where the annotation is lost or damaged', () => {
    for (const text of [undefined, 'x', '7', 'null', '{"80/TCP":"8080"}', '{"80/TCP":70000}']) {
      const given = service(
        [{ port: 80, targetPort: 9080 }],
        text === undefined ? {} : { [ORIGINALS]: text },
      );
      const back = retarget(given, toServer);
      expect(targets(back), text).toEqual([8080]);
      expect(originals(back), text).toBeNull();
    }
  });

  it('believes no entry while the live port is not the recorder’s', () => {
    const given = service([{ port: 80, targetPort: 8081 }], { [ORIGINALS]: '{"80/TCP":8080}' });
    expect(targets(retarget(given, toServer))).toEqual([8081]);
  });
});

describe('any Service', () => {
  const port = fc.record({
    port: fc.constantFrom(80, 443, 8080),
    targetPort: fc.constantFrom<number | string>(8080, 9100, 443, 'mcp'),
    protocol: fc.constantFrom('TCP' as const, 'UDP' as const),
  });

  it('is itself again after the way there and back, and changes only in target ports and our annotation', () => {
    fc.assert(
      fc.property(fc.uniqueArray(port, { selector: (p) => `${p.port}/${p.protocol}` }), (ports) => {
        const given = service(ports);
        const there = retarget(given, toRecorder);
        expect(retarget(there, toRecorder)).toEqual(there);
        expect(retarget(there, toServer)).toEqual(given);
        const others = (list: ServicePort[] = []) => list.map((one) => ({ ...one, targetPort: null }));
        expect(others(there.spec?.ports)).toEqual(others(ports));
      }),
    );
  });
});

describe('the decision', () => {
  const pod: Pod = { ...podFrom('deployment') };
  const given = service([{ port: 80, targetPort: 8080 }]);
  const asked = (target: string) => service([{ port: 80, targetPort: 8080 }], { [TARGET]: target });
  const at = (phase: string | null, spec = {}, metadata = {}): RecordedMCPServer => {
    const made = resource('github-mcp', spec, metadata);
    return phase === null ? made : { ...made, status: { phase: phase as 'Enforced' } };
  };
  const decide = (of: Service, resources: RecordedMCPServer[], pods = [pod]) =>
    decideTarget(of, { resources, pods, settings });

  it('obeys the operator', () => {
    expect(decide(asked('recorder'), [at('Retargeting')])).toEqual(toRecorder);
    expect(decide(asked('server'), [at('Enforced')])).toEqual(toServer);
    expect(decide(asked('server'), [])).toEqual({ ...toServer, serverPort: null });
    expect(decide(asked('elsewhere'), [at('Retargeting')])).toBeNull();
    expect(decide(asked('recorder'), [])).toBeNull();
  });

  it.each([
    [null, null],
    ['Pending', null],
    ['Injecting', null],
    ['Retargeting', null],
    ['Enforcing', 'recorder'],
    ['Enforced', 'recorder'],
    ['Removing', null],
  ])('without its word, in phase %s: %s', (phase, target) => {
    expect(decide(given, [at(phase)])?.target ?? null).toBe(target);
  });

  it('leads to the recorder from the first moment where adoption is immediate, and not while the resource is deleted', () => {
    expect(decide(given, [at('Pending', { adoption: 'Immediate' })])?.target).toBe('recorder');
    const deleted = { deletionTimestamp: '2026-11-26T01:00:00Z' };
    expect(decide(given, [at('Enforced', { adoption: 'Immediate' }, deleted)])).toBeNull();
  });

  it('concerns no Service of other pods, none without a selector, and no name for another host', () => {
    const other: Service = { ...given, spec: { ...given.spec, selector: { app: 'other' } } };
    expect(decide(other, [at('Enforced')])).toBeNull();
    const handMade: Service = { ...given, spec: { ports: given.spec?.ports ?? [] } };
    expect(decide(handMade, [at('Enforced')])).toBeNull();
    const external: Service = { ...asked('recorder'), spec: { ...given.spec, type: 'ExternalName' } };
    expect(decide(external, [at('Enforced')])).toBeNull();
  });

  it('sends nothing to the recorder of a relocated server, and what was sent back', () => {
    const relocate = { traffic: { mode: 'Relocate' as const, relocate: { port: 18_080, args: ['x'] } } };
    expect(decide(given, [at('Enforced', relocate)])).toBeNull();
    expect(decide(asked('recorder'), [at('Enforced', relocate)])).toBeNull();
    expect(decide(asked('server'), [at('Enforced', relocate)])?.target).toBe('server');
  });

  it('takes the port of the server from the resource, its status, or its pods', () => {
    const nobody: Pod[] = [];
    const port = (of: RecordedMCPServer, pods: Pod[]) => decide(asked('recorder'), [of], pods)?.serverPort;
    expect(port(at(null, { server: { port: 7000 } }), [pod])).toBe(7000);
    expect(port({ ...at(null), status: { serverPort: 7001 } }, [pod])).toBe(7001);
    expect(port(at(null), [pod])).toBe(8080);
    expect(port(at(null), nobody)).toBeNull();
  });

  it('does not take the port of a relocated server for that of a recorder', () => {
    const relocate = { traffic: { mode: 'Relocate' as const, relocate: { port: 18_080, args: ['x'] } } };
    const recorded = inject(pod, injection(at(null, relocate)));
    if (!recorded.ok) throw new Error(recorded.refused);
    expect(decide(asked('recorder'), [at(null)], [recorded.pod])?.recorderPorts).toEqual([9080]);
  });

  it('knows recorders that listen where the settings of before had them', () => {
    const before = { ...settings, sidecar: { ...settings.sidecar, ports: { recorder: 9180, status: 9181 } } };
    const recorded = inject(pod, injection(at(null), { settings: before }));
    if (!recorded.ok) throw new Error(recorded.refused);
    expect(decide(asked('recorder'), [at(null)], [recorded.pod])?.recorderPorts).toEqual([9080, 9180]);
  });
});
