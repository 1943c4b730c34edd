/**
 * Owns the transcript as one page of HTML: opens without network, reads without script, prints.
 * Invariant: every recorded word goes through the template's escaping; an image is embedded only as a type that browsers do not run.
 */
import { parseMicros } from '@mcp-recorder/recording/format/time';
import type { ExchangeView, Step } from '@mcp-recorder/recording/read/exchange-view';
import { Eta } from 'eta';
import {
  describeChanges,
  describeOutcome,
  describePrincipal,
  describeResult,
  describeTarget,
  formatTime,
  toText,
} from '../exchange-text.ts';
import { CommandFailure } from '../failure.ts';
import { printableLine, printableText } from '../printable.ts';
import { contentsOf } from '../show/save-contents.ts';
import { formatDuration } from '../table.ts';
import { describeGap } from './gap-text.ts';
import { POLICY, SCRIPT, STYLE } from './html-page.ts';
import type { Selection } from '../selection.ts';

/** More is no page that a browser opens well. */
export const MOST_EXCHANGES = 5_000;
/** Characters of base64 of an image that is embedded; a larger one is told. */
const MAX_IMAGE = 4 * 2 ** 20;
/** What a browser shows and never runs: SVG is not among them. */
const IMAGES = new Set(['image/png', 'image/jpeg', 'image/gif', 'image/webp']);

const HEAD = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="<%= it.policy %>">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>Transcript of <%= it.store %></title>
<style><%~ it.style %></style>
</head>
<body>
<header>
<h1>Transcript</h1>
<dl>
<dt>Recording</dt><dd><%= it.store %></dd>
<dt>Asked for</dt><dd><%= it.asked %></dd>
<dt>Made</dt><dd><%= it.made %></dd>
</dl>
<% for (const gap of it.gaps) { %><p class="bad">Not recorded: <%= gap %>.</p>
<% } %><p class="keys">Keys: n next, p previous, o open or close all of a step, Tab and Enter for each part.</p>
</header>
<main>
`;

const EXCHANGE = `<article tabindex="-1" id="<%= it.id %>" aria-labelledby="h-<%= it.id %>">
<h2 id="h-<%= it.id %>"><%= it.number %>. <%= it.title %></h2>
<dl>
<% for (const [name, value] of it.facts) { %><dt><%= name %></dt><dd><%= value %></dd>
<% } %></dl>
<% for (const note of it.notes) { %><p class="note"><%= note %></p>
<% } %><% for (const step of it.steps) { %><h3><%= step.title %></h3>
<p<% if (step.isBad) { %> class="bad"<% } %>><%= step.outcome %></p>
<% for (const part of step.parts) { %><details open><summary><%= part.name %></summary>
<pre tabindex="0" role="region" aria-label="<%= part.name %>"><%= part.text %></pre></details>
<% } %><% for (const image of step.images) { %><p><img alt="Image in the result (<%= image.mimeType %>)" src="data:<%= image.mimeType %>;base64,<%= image.data %>"></p>
<% } %><% } %></article>
`;

const FOOT = `</main>
<footer><p><%= it.count %></p></footer>
<script><%~ it.script %></script>
</body>
</html>
`;

/** @throws CommandFailure when there are more exchanges than a page can hold */
export async function* exportHtml({ about, exchanges }: Selection): AsyncIterable<string> {
  const eta = new Eta({ autoEscape: true, autoTrim: false });
  const { store, made, asked, gaps } = about;
  yield eta.renderString(HEAD, {
    policy: POLICY,
    style: STYLE,
    store: printableLine(store),
    asked: printableLine(JSON.stringify(asked)),
    made,
    gaps: gaps.map((gap) => printableLine(describeGap(gap))),
  });
  const template = eta.compile(EXCHANGE);
  let number = 0;
  let before: string | null = null;
  for await (const { view } of exchanges()) {
    number += 1;
    if (number > MOST_EXCHANGES) {
      throw new CommandFailure(
        `There are more than ${MOST_EXCHANGES} exchanges, and a page holds no more. Ask for fewer, or take --as markdown or json.`,
      );
    }
    yield template.call(eta, exchangeOf(view, number, before));
    before = view.time;
  }
  yield eta.renderString(FOOT, {
    count: number === 1 ? '1 exchange.' : `${number} exchanges.`,
    script: SCRIPT,
  });
}

function exchangeOf(view: ExchangeView, number: number, before: string | null): object {
  const { exchange, time, principal, session, protocol, client, place, http, ended, steps } = view;
  const waitedUs = before === null ? null : Math.max(0, parseMicros(time) - parseMicros(before));
  const took = ended === null ? 'not ended' : `${formatDuration(ended.duration_us)}, ${ended.how}`;
  const facts: [string, string | null][] = [
    ['Exchange', exchange],
    ['Who', principal === null ? 'the request is not in the recording' : describePrincipal(principal)],
    ['Server', `${place.cluster}/${place.namespace}/${place.server}`],
    ['Session', session?.id ?? null],
    ['Protocol', protocol],
    ['Client', client === null ? null : `${client.name} ${client.version ?? ''}`.trim()],
    ['From', http.client_address],
    ['HTTP', `${http.method ?? '?'} ${http.target ?? '?'}, status ${http.status ?? 'none'}`],
    ['Took', took],
    ['After the one before', waitedUs === null ? null : formatDuration(waitedUs)],
  ];
  return {
    id: exchange.replaceAll(/[^0-9A-Za-z]/g, ''),
    number,
    title: printableLine(`${formatTime(time)} ${titleOf(view)}`),
    facts: facts.flatMap(([name, value]) => (value === null ? [] : [[name, printableLine(value)]])),
    notes: describeChanges(view).map(printableLine),
    steps: steps.length > 0 ? steps.map(stepOf) : bodiesOf(view),
  };
}

function titleOf({ steps, http }: ExchangeView): string {
  const [first] = steps;
  if (first === undefined) return `${http.method ?? 'request'} without a call`;
  const more = steps.length === 1 ? '' : ` and ${steps.length - 1} more`;
  return `${describeTarget(first.call.method, first.call.target)}${more}`;
}

function stepOf({ call, result, asked, answer, time }: Step): object {
  const decision =
    call.decision.action === 'allow' ? '' : `, ${call.decision.action} by ${call.decision.rule ?? 'a rule'}`;
  const ended =
    call.kind === 'notification'
      ? 'notification'
      : result === null
        ? 'no result in the recording'
        : `${describeOutcome(result)}, ${formatDuration(result.duration_us)}`;
  const elsewhere =
    answer === null && result !== null && result.exchange !== null && result.exchange !== result.call_exchange
      ? `arrived in exchange ${result.exchange}`
      : null;
  const said =
    answer === null
      ? elsewhere
      : answer.error === undefined
        ? describeResult(answer.result)
        : toText(answer.error);
  return {
    title: printableLine(describeTarget(call.method, call.target)),
    outcome: printableLine(`${formatTime(time)}, ${call.kind} from the ${call.sender}${decision}: ${ended}`),
    isBad: result !== null && !['ok', 'input_required', 'task'].includes(result.outcome),
    parts: [
      { name: 'Asked', text: asked?.params === undefined ? '' : printableText(toText(asked.params)) },
      { name: 'Answer', text: printableText(said ?? '') },
    ].filter(({ text }) => text !== ''),
    images: contentsOf(answer?.result).filter(
      ({ mimeType, data }) =>
        IMAGES.has(mimeType) && data.length <= MAX_IMAGE && /^[A-Za-z0-9+/]+={0,2}$/.test(data),
    ),
  };
}

function bodiesOf({ bodies }: ExchangeView): object[] {
  return bodies.map(({ sender, kind, text, bytes, withheld }) => ({
    title: `${kind} of the ${sender}`,
    outcome:
      withheld === null
        ? `${bytes?.length ?? 0} bytes`
        : `withheld: ${withheld.reason}, ${withheld.bytes} bytes`,
    isBad: false,
    parts: text === null || text === '' ? [] : [{ name: 'Body', text: printableText(text) }],
    images: [],
  }));
}
