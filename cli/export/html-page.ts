/**
 * Owns the parts of the transcript's page that are the same in each: its style, its script, and what the page may do.
 * Invariant: the page loads nothing and sends nothing; the policy that it carries forbids it whatever is in the recording.
 */
import { hash } from 'node:crypto';

export const STYLE = `
:root { color-scheme: light dark; --ink: #1a1d21; --quiet: #545b64; --paper: #ffffff; --block: #f3f4f6; --line: #d0d4da; --mark: #8a4b00; --bad: #a3131a; --focus: #0b57d0; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e7e9ec; --quiet: #a6adb6; --paper: #14171a; --block: #1f2429; --line: #3a4048; --mark: #f0b26b; --bad: #ff9b9b; --focus: #8ab4f8; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 1rem; background: var(--paper); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin: 0; } h3 { font-size: 1rem; margin: 1rem 0 0.25rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0.1rem 1rem; margin: 0.5rem 0; }
dt { color: var(--quiet); } dd { margin: 0; overflow-wrap: anywhere; }
article { border: 1px solid var(--line); border-radius: 0.4rem; padding: 0.75rem 1rem; margin: 1rem 0; }
article:focus, summary:focus-visible, a:focus-visible { outline: 3px solid var(--focus); outline-offset: 2px; }
pre { background: var(--block); padding: 0.6rem 0.8rem; margin: 0.25rem 0; white-space: pre-wrap; overflow-wrap: anywhere; font: 0.875rem/1.45 ui-monospace, monospace; }
.note { color: var(--mark); } .bad { color: var(--bad); font-weight: 600; }
img { max-width: 100%; border: 1px solid var(--line); }
.keys { color: var(--quiet); font-size: 0.9rem; }
@media print {
  :root { --ink: #000; --quiet: #333; --paper: #fff; --block: #fff; --line: #999; --mark: #000; --bad: #000; }
  body { max-width: none; } .keys { display: none; } article { break-inside: avoid-page; } pre { border: 1px solid #ccc; }
}
`;

/** The steps by keys; everything else works without it. */
export const SCRIPT = `
'use strict';
const steps = [...document.querySelectorAll('article')];
const go = (to) => { const step = steps[Math.max(0, Math.min(steps.length - 1, to))]; if (step) { step.focus(); step.scrollIntoView({ block: 'start' }); } };
addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const at = steps.indexOf(document.activeElement?.closest('article'));
  if (event.key === 'n' || event.key === 'j') go(at + 1);
  else if (event.key === 'p' || event.key === 'k') go(at < 0 ? 0 : at - 1);
  else if (event.key === 'o') { const all = steps[at]?.querySelectorAll('details') ?? []; const open = [...all].some((one) => !one.open); for (const one of all) one.open = open; }
  else return;
  event.preventDefault();
});
addEventListener('beforeprint', () => { for (const one of document.querySelectorAll('details')) one.open = true; });
`;

const sourceOf = (text: string): string => `'sha256-${hash('sha256', text, 'base64')}'`;

/** Nothing is loaded but images that stand in the page itself. */
export const POLICY = `default-src 'none'; img-src data:; style-src ${sourceOf(STYLE)}; script-src ${sourceOf(SCRIPT)}; base-uri 'none'; form-action 'none'`;
