import { describe, expect, it } from 'vitest';
import { createProgress } from '../../cli/progress.ts';

function setUp(isTTY: boolean) {
  const written: string[] = [];
  let nowMs = 0;
  const to = { isTTY, columns: 12, write: (text: string | Uint8Array) => written.push(String(text)) > 0 };
  const progress = createProgress(to, () => nowMs);
  const updateAt = (ms: number, text: string) => {
    nowMs = ms;
    progress.update(text);
  };
  return { written, progress, updateAt };
}

describe('progress', () => {
  it('is silent in the first second, then shown at most ten times a second, and removed', () => {
    const { written, progress, updateAt } = setUp(true);
    updateAt(999, 'a');
    expect(written).toEqual([]);
    updateAt(1_000, 'b');
    updateAt(1_050, 'c');
    updateAt(1_100, 'longer than the terminal');
    progress.done();
    expect(written).toEqual(['\r\u001b[Kb', '\r\u001b[Klonger than', '\r\u001b[K']);
  });

  it('removes nothing when nothing was shown', () => {
    const { written, progress } = setUp(true);
    progress.done();
    expect(written).toEqual([]);
  });

  it('is not written where nobody watches', () => {
    const { written, updateAt } = setUp(false);
    updateAt(5_000, 'a');
    expect(written).toEqual([]);
  });
});
