/** Resources at admission, on a real API server: what `kubectl apply` says of a wrong rule, pattern or issuer, and when it is not asked. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../../support/poll.ts';
import { resource } from '../webhook/scene.ts';
import { type AdmissionScene, RESOURCES, startAdmission } from './admission-scene.ts';

let scene: AdmissionScene;

beforeAll(async () => {
  scene = await startAdmission();
  // The API server follows a new configuration within a second.
  await eventually(async () => expect((await apply('followed', WRONG)).code).toBe(1), { withinMs: 10_000 });
}, 120_000);
afterAll(() => scene?.stop());
beforeEach(() => {
  scene.answers.length = 0;
});

type Given = Parameters<typeof resource>[1];
const rule = (when: string, name = 'no-deletes') => ({ name, when, action: 'Deny' as const });
const WRONG: Given = { rules: [rule('mcp.tool == "delete"'), rule('mcp.tool ==', 'wrong')] };

function manifest(name: string, given: Given = {}, metadata = {}) {
  const { apiVersion, kind, spec } = resource(name, given);
  return { apiVersion, kind, metadata: { name, namespace: 'tools', ...metadata }, spec };
}

function apply(name: string, given: Given = {}, metadata = {}) {
  return scene.kubectl('apply -f -', manifest(name, given, metadata));
}

describe('kubectl apply', () => {
  it('refuses a rule that can not be read, with its field and the place in it', async () => {
    const { code, stderr } = await apply('wrong', WRONG);
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /admission webhook "resources\.mcp-recorder\.dev" denied the request: spec\.rules\[1\]\.when: line 1, column \d+: /,
    );
  });

  it.each<[string, Given, RegExp]>([
    [
      'a rule of another type',
      { rules: [rule('mcp.tool')] },
      /spec\.rules\[0\]\.when: line 1, column 1: .*string/,
    ],
    [
      'a rule over an unknown name',
      { rules: [rule('user == "x"')] },
      /spec\.rules\[0\]\.when: line 1, column 1: /,
    ],
    [
      'keys of an issuer that are none',
      {
        auth: {
          mode: 'Enforce',
          resource: 'https://mcp.example.com',
          oidc: [{ issuer: 'https://idp.example.com', jwks: { keys: [{ kty: 'RSA' }] } }],
        },
      },
      /spec\.auth\.oidc\[0\]\.jwks\.keys\[0\]: /,
    ],
  ])('refuses %s', async (_, given, wanted) => {
    const { code, stderr } = await apply('wrong', given);
    expect(code).toBe(1);
    expect(stderr).toMatch(wanted);
  });

  it('takes what is right, changed or not', async () => {
    for (const when of ['mcp.tool == "a"', 'mcp.tool == "b"', 'mcp.tool == "b"']) {
      expect(await apply('right', { rules: [rule(when)] })).toMatchObject({ code: 0, stderr: '' });
    }
    expect(scene.answers).toEqual([
      { kind: 'resources', outcome: 'unchanged' },
      { kind: 'resources', outcome: 'unchanged' },
    ]);
  });
});

describe('a resource that is wrong already', () => {
  const at = { namespace: 'tools', name: 'past' };
  const finalizers = (list: string[]) => scene.api.patch(RESOURCES, at, { metadata: { finalizers: list } });

  it('is left alone but for its spec: labels, finalizers, status and deletion are nothing to ask about', async () => {
    await scene.stopWebhook();
    const { code } = await apply('past', WRONG);
    expect(code, 'who writes it while the webhook is away is not kept from it').toBe(0);
    await scene.startWebhook();
    await eventually(async () => expect((await apply('followed', WRONG)).code).toBe(1), { withinMs: 10_000 });
    scene.answers.length = 0;
    await scene.api.patch(RESOURCES, at, { metadata: { labels: { more: 'x' } } });
    await finalizers(['example.com/x']);
    await scene.api.applyStatus(RESOURCES, {
      apiVersion: 'mcp-recorder.dev/v1alpha1',
      kind: 'RecordedMCPServer',
      metadata: at,
      status: { phase: 'Pending' },
    } as never);
    await scene.api.delete(RESOURCES, at);
    await finalizers([]);
    expect(await scene.api.find(RESOURCES, at)).toBeNull();
    expect(scene.answers).toEqual([]);
  });
});
