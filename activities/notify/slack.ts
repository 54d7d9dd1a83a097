import { plain } from '../../contracts/plain.ts';
import { shortMessageId } from './message-id.ts';
import type { Message } from './message.ts';
import { facts, headline } from './wording.ts';

/** Slack refuses a message in which a text block is longer, or a header. */
const LIMIT = { text: 3_000, header: 150 } as const;
/** One line that is longer takes the room of all others. */
const LINE = 900;
/** Letters, digits, `_` and `-`: Slack drops metadata of any other type. */
const EVENT_TYPE = 'runbook_notice';

type Text = { type: 'plain_text'; text: string; emoji: false } | { type: 'mrkdwn'; text: string; verbatim: true };
type Block = { type: 'header' | 'section'; text: Text } | { type: 'context'; elements: [Text] };
/** For the Slack apps that ask for it, and shown to nobody: what is of no use to them is dropped, and the message comes all the same. */
interface Metadata { event_type: typeof EVENT_TYPE; event_payload: { id: string; kind: string } }
/** What an incoming webhook of Slack takes. */
interface SlackPayload { text: string; mrkdwn: false; unfurl_links: false; unfurl_media: false; blocks: Block[]; metadata: Metadata }

/**
 * A message for people. What others wrote (reasons, names, results of steps) stands in plain text, which formats nothing and calls
 * nobody, and is escaped as well; Slack's own mark-up holds the link and what is to be copied, and no other text. Slack drops no
 * message that comes twice: apps know it by `id` in its metadata, and people by a short one at its foot.
 *
 * @param id as `messageId` makes it
 */
export function slackPayload({ notice, link, commands }: Message, id: string): SlackPayload {
  const { approve, reject, look } = commands;
  const told = list(notice.lines.map((line) => `• ${line}`));
  const title = headline(notice);
  const blocks: Block[] = [
    { type: 'header', text: words(fit(title, LIMIT.header)) },
    section(words(list(facts(notice).map(([label, value]) => `${label}: ${value}`)))),
    ...(told === '' ? [] : [section(words(told))]),
    ...(link === null ? [] : [section({ type: 'mrkdwn', verbatim: true, text: `<${address(link)}|Open the run in the web UI>` })]),
    ...(approve === undefined ? [] : [section(words('To approve:')), copyable(approve)]),
    ...(reject === undefined ? [] : [section(words('To reject:')), copyable(reject)]),
    ...(approve === undefined ? [section(words('To look at it:')), copyable(look)] : []),
    { type: 'context', elements: [words(`Message ${shortMessageId(id)}: one that comes with the same id is a repetition`)] },
  ];
  return {
    text: fit(title, LIMIT.text), mrkdwn: false, unfurl_links: false, unfurl_media: false,
    blocks: blocks.filter((block) => block.type === 'context' || block.text.text.length <= LIMIT.text),
    metadata: { event_type: EVENT_TYPE, event_payload: { id, kind: notice.kind } },
  };
}

const section = (text: Text): Block => ({ type: 'section', text });
const words = (text: string): Text => ({ type: 'plain_text', emoji: false, text });

/** A command to copy, whole or not at all: one that is cut would do something else. A backtick would end the code that it stands in. */
function copyable(command: string): Block {
  return section(command.includes('`') ? words(escaped(command)) : { type: 'mrkdwn', verbatim: true, text: `\`\`\`${escaped(command)}\`\`\`` });
}

/** One line each, as many as fit; the last says how many do not. */
function list(lines: readonly string[]): string {
  const told: string[] = [];
  let left = LIMIT.text - 100;
  for (const line of lines) {
    const text = fit(line, LINE);
    left -= text.length + 1;
    if (left < 0) return [...told, `… and ${lines.length - told.length} more: look at the run`].join('\n');
    told.push(text);
  }
  return told.join('\n');
}

/** Escaped text on one line, cut between two characters where it is longer than `limit` then. */
function fit(text: string, limit: number): string {
  let fitting = '';
  for (const character of plain(text)) {
    const next = escaped(character);
    if (fitting.length + next.length > limit - 1) return `${fitting}…`;
    fitting += next;
  }
  return fitting;
}

/** Without this `<!channel>` would call everybody, and `<https://…|text>` lead elsewhere than it says. */
function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

/** A bar would end the address. */
function address(link: string): string {
  return escaped(link).replaceAll('|', '%7C');
}
