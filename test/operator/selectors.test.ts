import { describe, expect, it } from 'vitest';
import { matches, overlaps, serviceSelects } from '../../operator/desired/selectors.ts';

const pod = (labels: Record<string, string>) => ({ metadata: { labels } });

describe('a selector', () => {
  it.each([
    [{ matchLabels: { app: 'gh' } }, { app: 'gh', tier: 'x' }, true],
    [{ matchLabels: { app: 'gh' } }, { app: 'other' }, false],
    [{ matchLabels: { app: 'gh', tier: 'mcp' } }, { app: 'gh' }, false],
    [{ matchLabels: { app: '' } }, {}, false],
    [{ matchExpressions: [{ key: 'app', operator: 'In', values: ['a', 'b'] }] }, { app: 'b' }, true],
    [{ matchExpressions: [{ key: 'app', operator: 'In', values: ['a', 'b'] }] }, {}, false],
    [{ matchExpressions: [{ key: 'app', operator: 'NotIn', values: ['a'] }] }, {}, true],
    [{ matchExpressions: [{ key: 'app', operator: 'NotIn', values: ['a'] }] }, { app: 'a' }, false],
    [{ matchExpressions: [{ key: 'app', operator: 'Exists' }] }, { app: '' }, true],
    [{ matchExpressions: [{ key: 'app', operator: 'Exists' }] }, {}, false],
    [{ matchExpressions: [{ key: 'canary', operator: 'DoesNotExist' }] }, { app: 'a' }, true],
    [{ matchExpressions: [{ key: 'canary', operator: 'DoesNotExist' }] }, { canary: '' }, false],
    [{ matchExpressions: [{ key: 'app', operator: 'Near', values: ['a'] }] }, { app: 'a' }, false],
    [
      { matchLabels: { app: 'a' }, matchExpressions: [{ key: 'canary', operator: 'Exists' }] },
      { app: 'a' },
      false,
    ],
    [{}, { app: 'a' }, true],
  ])('%j of %j: %s', (selector, labels, expected) => {
    expect(matches(selector, labels)).toBe(expected);
  });

  it('sees no labels where a pod has none, and no labels in what objects inherit', () => {
    expect(matches({ matchLabels: { app: 'a' } }, undefined)).toBe(false);
    expect(matches({ matchExpressions: [{ key: 'constructor', operator: 'Exists' }] }, {})).toBe(false);
  });
});

describe('a Service', () => {
  it('selects by every label that it names, and nothing when it names none', () => {
    expect(serviceSelects({ app: 'a' }, { app: 'a', b: 'c' })).toBe(true);
    expect(serviceSelects({ app: 'a', b: 'd' }, { app: 'a', b: 'c' })).toBe(false);
    expect(serviceSelects({}, { app: 'a' })).toBe(false);
    expect(serviceSelects(undefined, { app: 'a' })).toBe(false);
  });

  const resource = { matchLabels: { app: 'gh', tier: 'mcp' } };

  it('leads to a resource when it selects one of the pods that the resource selects', () => {
    const pods = [pod({ app: 'gh', tier: 'mcp', track: 'b' }), pod({ app: 'gh', tier: 'db', track: 'a' })];
    expect(overlaps({ track: 'b' }, resource, pods)).toBe(true);
    expect(overlaps({ track: 'a' }, resource, pods)).toBe(false);
    expect(overlaps(undefined, resource, pods)).toBe(false);
  });

  it('is judged by its labels while the resource has no pods', () => {
    expect(overlaps({ app: 'gh' }, resource, [])).toBe(true);
    expect(overlaps({ app: 'gh', track: 'b' }, resource, [pod({ app: 'other' })])).toBe(true);
    expect(overlaps({ app: 'gh', tier: 'db' }, resource, [])).toBe(false);
    expect(overlaps({ track: 'b' }, resource, [])).toBe(false);
    expect(overlaps({}, resource, [])).toBe(false);
  });
});
