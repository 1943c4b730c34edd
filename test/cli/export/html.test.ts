/** The transcript as a page, in a real browser. */
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import puppeteer, { type Browser, type Page } from 'puppeteer-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runWith } from '../command.ts';
import { ADA, CALL, EVENTS, exchangeOf, HOSTILE, type Recorded, recordIn } from '../recorded.ts';

const CHROMIUM = '/usr/bin/chromium';
/** One red point. */
const PNG =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==';
const HOSTILE_TEXTS = [
  '<script>window.pwned = 1</script>',
  '<img src=x onerror="window.pwned = 2">',
  '</pre></details></article><h1>not ours</h1>',
  '"><svg onload="window.pwned = 3">',
  '<a href="javascript:window.pwned=4">click</a>',
  '<%= process.exit() %> ${1} {{x}}',
  '\u202eevil\u202c \u0000 \u001b[31mred',
  '<link rel=stylesheet href="http://127.0.0.1:9/x.css">',
];

let recorded: Recorded;
let directory: string;
let browser: Browser;
let url: string;
beforeAll(async () => {
  await fs.access(CHROMIUM).catch(() => {
    throw new Error(`${CHROMIUM} is missing: apt-get install chromium`);
  });
  const content = [
    ...HOSTILE_TEXTS.map((text) => ({ type: 'text', text })),
    { type: 'image', mimeType: 'image/png', data: PNG },
    {
      type: 'image',
      mimeType: 'image/svg+xml',
      data: Buffer.from('<svg onload="window.pwned=5"/>').toString('base64'),
    },
    { type: 'image', mimeType: 'image/png', data: '"><script>window.pwned = 6</script>' },
  ];
  recorded = await recordIn([
    exchangeOf({ exchange: CALL, answer: 'hello', params: { arguments: { message: 'hi' } } }),
    exchangeOf({
      exchange: HOSTILE,
      principal: { ...ADA, name: HOSTILE_TEXTS[1] as string },
      tool: HOSTILE_TEXTS[0] as string,
      answer: { result: { content } },
    }),
    exchangeOf({
      exchange: EVENTS,
      answer: { error: { code: -32602, message: 'no such tool' } },
      outcome: 'error',
      events: true,
    }),
  ]);
  directory = await fs.mkdtemp(path.join(os.tmpdir(), 'mcp-recorder-html-'));
  const file = path.join(directory, 'transcript.html');
  const env = { XDG_CACHE_HOME: path.join(directory, 'cache') };
  const { code, stderr } = await runWith(env, 'export', recorded.directory, '--as', 'html', '--out', file);
  expect([code, stderr]).toEqual([0, expect.stringContaining('3 exchanges')]);
  url = pathToFileURL(file).href;
  browser = await puppeteer.launch({
    executablePath: CHROMIUM,
    args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu'],
    userDataDir: path.join(directory, 'profile'),
  });
}, 60_000);
afterAll(async () => {
  await browser?.close();
  await recorded?.remove();
  await fs.rm(directory, { recursive: true, force: true });
});

/** The page with what it asked the network for and what went wrong in it. */
async function opened(
  scheme: 'light' | 'dark' = 'light',
): Promise<{ page: Page; requests: string[]; errors: string[] }> {
  const page = await browser.newPage();
  const requests: string[] = [];
  const errors: string[] = [];
  page.on('request', (request) => requests.push(request.url()));
  page.on('pageerror', (error) => errors.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error') errors.push(message.text());
  });
  await page.setViewport({ width: 1_000, height: 800 });
  await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
  await page.goto(url, { waitUntil: 'load' });
  return { page, requests, errors };
}

/** What an expression gives in the page. As text: the page's types are not those of this project. */
async function inPage<T>(page: Page, expression: string): Promise<T> {
  return (await page.evaluate(expression)) as T;
}

/** Mean brightness of a screenshot's region, 0 to 255, and how many different ones there are. */
async function brightness(page: Page, clip: { x: number; y: number; width: number; height: number }) {
  const shot = await page.screenshot({ clip, encoding: 'base64' });
  // Measured in another page: the transcript's own may load nothing, not even this.
  const blank = await browser.newPage();
  const measured = await inPage<{ mean: number; different: number }>(
    blank,
    `(async () => {
      const image = new Image();
      image.src = 'data:image/png;base64,${shot}';
      await image.decode();
      const canvas = document.createElement('canvas');
      [canvas.width, canvas.height] = [image.width, image.height];
      const context = canvas.getContext('2d');
      context.drawImage(image, 0, 0);
      const { data } = context.getImageData(0, 0, image.width, image.height);
      let sum = 0;
      const different = new Set();
      for (let at = 0; at < data.length; at += 4) {
        const value = Math.round((data[at] + data[at + 1] + data[at + 2]) / 3);
        sum += value;
        different.add(value);
      }
      return { mean: sum / (data.length / 4), different: different.size };
    })()`,
  );
  await blank.close();
  return measured;
}

const CONTRASTS = `(() => {
  const light = (color) => {
    const [r, g, b] = color.match(/[\\d.]+/g).map((part) => {
      const value = Number(part) / 255;
      return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const paperOf = (one) => {
    const color = one === null ? 'rgb(255, 255, 255)' : getComputedStyle(one).backgroundColor;
    return color === 'rgba(0, 0, 0, 0)' ? paperOf(one.parentElement) : color;
  };
  return [...document.querySelectorAll('body, dt, pre, .note, .bad, h2')].map((one) => {
    const [a, b] = [light(getComputedStyle(one).color), light(paperOf(one))];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  });
})()`;

const UNNAMED = `[...document.querySelectorAll('article, pre, img')].filter((one) => {
  const by = one.getAttribute('aria-labelledby');
  const name = by === null ? (one.getAttribute('aria-label') ?? one.getAttribute('alt')) : document.getElementById(by)?.textContent;
  return (name ?? '').trim() === '';
}).length`;

const all = (selector: string, each: string): string =>
  `[...document.querySelectorAll('${selector}')].map((one) => ${each})`;

describe('the transcript in a browser', () => {
  it('opens from a file, asks the network for nothing, and has no error', async () => {
    const { page, requests, errors } = await opened();
    expect(requests.filter((request) => !request.startsWith('data:'))).toEqual([url]);
    expect(errors).toEqual([]);
    expect(await page.title()).toContain('Transcript of');
    expect(await inPage(page, all('article', 'one.id'))).toHaveLength(3);
    await page.close();
  });

  it('shows hostile content as text, and runs none of it', async () => {
    const { page } = await opened();
    expect(await inPage(page, 'window.pwned')).toBeUndefined();
    const text = await inPage<string>(page, 'document.body.innerText');
    for (const hostile of HOSTILE_TEXTS.filter((one) => !/[\u0000-\u001f\u202e]/.test(one))) {
      expect(text).toContain(hostile);
    }
    expect(text).toContain('\\u202eevil');
    expect(await inPage(page, all('script, link, iframe, object, svg, a', '0'))).toHaveLength(1);
    expect(await inPage(page, all('h1', 'one.textContent'))).toEqual(['Transcript']);
    // Only the image that is one.
    const images = await inPage(page, all('img', '[one.naturalWidth, one.src.slice(0, 21)]'));
    expect(images).toEqual([[1, 'data:image/png;base64']]);
    await page.close();
  });

  it('is gone through by keys', async () => {
    const { page } = await opened();
    const at = () => inPage(page, 'document.activeElement?.id');
    await page.keyboard.press('n');
    expect(await at()).toBe(CALL);
    await page.keyboard.press('j');
    await page.keyboard.press('n');
    expect(await at()).toBe(EVENTS);
    await page.keyboard.press('p');
    expect(await at()).toBe(HOSTILE);
    const open = () => inPage<boolean[]>(page, all(`[id="${HOSTILE}"] details`, 'one.open'));
    expect(await open()).not.toContain(false);
    await page.keyboard.press('o');
    expect(await open()).not.toContain(true);
    // Without keys of ours: the parts are reached and opened as a browser does.
    await page.focus(`[id="${HOSTILE}"] summary`);
    await page.keyboard.press('Enter');
    expect((await open())[0]).toBe(true);
    await page.close();
  });

  it('has names for its regions, and headings in order', async () => {
    const { page } = await opened();
    expect(await inPage(page, 'document.documentElement.lang')).toBe('en');
    for (const landmark of ['header', 'main', 'footer']) expect(await page.$(landmark)).not.toBeNull();
    expect(await inPage(page, UNNAMED)).toBe(0);
    const levels = await inPage<number[]>(page, all('h1, h2, h3', 'Number(one.tagName[1])'));
    expect(levels[0]).toBe(1);
    for (const [n, level] of levels.entries()) expect(level - (levels[n - 1] ?? 0)).toBeLessThanOrEqual(1);
    await page.close();
  });

  it.each([
    ['light' as const, (mean: number) => mean > 200],
    ['dark' as const, (mean: number) => mean < 60],
  ])('looks right in %s: paper, ink on it, and enough contrast', async (scheme, isPaper) => {
    const { page } = await opened(scheme);
    const whole = await brightness(page, { x: 0, y: 0, width: 1_000, height: 800 });
    const margin = await brightness(page, { x: 0, y: 0, width: 10, height: 200 });
    expect(isPaper(margin.mean)).toBe(true);
    expect(margin.different).toBe(1);
    // There is something on it.
    expect(whole.different).toBeGreaterThan(30);
    const contrasts = await inPage<number[]>(page, CONTRASTS);
    // WCAG 2.2, 1.4.3.
    for (const contrast of contrasts) expect(contrast).toBeGreaterThanOrEqual(4.5);
    await page.close();
  });

  it('prints with every part open', async () => {
    const { page } = await opened();
    await page.keyboard.press('n');
    await page.keyboard.press('o');
    const pdf = await page.pdf({ format: 'A4' });
    expect(Buffer.from(pdf.subarray(0, 5)).toString()).toBe('%PDF-');
    expect(await inPage<boolean[]>(page, all('details', 'one.open'))).not.toContain(false);
    await page.close();
  });
});
