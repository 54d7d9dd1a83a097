import { isOver } from '../../contracts/run-status.ts';
import { firstOf } from '../../contracts/whole-characters.ts';
import { activityLine, gateLines, pauseOf, RateMeter, runLines } from './progress-lines.ts';
import { plain } from './output.ts';
import type { TemporalOptions } from './options.ts';
import type { RunView } from './run-view.ts';

/** Shows a run as it goes on. */
export interface Display { show(view: RunView, nowMs: number): void }

interface Screen { write(text: string): unknown; columns?: number; rows?: number }

/** Redraws in place. Lines are cut to the width, or one that wraps would leave its rest behind. */
export function terminalDisplay(screen: Screen, options: TemporalOptions = {}): Display {
  const meter = new RateMeter();
  let drawn = 0;
  return {
    show(view, nowMs) {
      const height = Math.max((screen.rows ?? 24) - 1, 4);
      const all = runLines(view, meter, nowMs, options);
      // What is at the end is what happens now; the two lines at the top say what this is.
      const lines = all.length <= height ? all : [...all.slice(0, 2), ...all.slice(all.length - height + 2)];
      const up = drawn > 0 ? `\u001B[${drawn}A\r` : '';
      screen.write(`${up}\u001B[0J${lines.map((line) => cut(line, screen.columns ?? 80)).join('\n')}\n`);
      drawn = lines.length;
    },
  };
}

// oxlint-disable-next-line no-control-regex -- a colour starts with ESC
const COLOUR = /\u001B\[[0-9;]*m/g;

/** Cuts what is seen to the width; colours take no room. */
export function cut(line: string, columns: number): string {
  if (line.replaceAll(COLOUR, '').length < columns) return line;
  let seen = 0;
  let text = '';
  for (const part of line.split(/(\u001B\[[0-9;]*m)/)) { // oxlint-disable-line no-control-regex
    if (part.startsWith('\u001B')) { text += part; continue; }
    const room = columns - 2 - seen;
    text += part.length > room ? `${firstOf(part, Math.max(room, 0))}${seen <= columns - 2 && room >= 0 ? '…' : ''}` : part;
    seen += part.length;
    if (part.length > room) break;
  }
  return `${text}\u001B[0m`;
}

/** A log must not fill with numbers: bytes are said this often. */
const PLAIN_PROGRESS_MS = 10_000;

/** For logs and pipes: one line for each thing that changed, and now and then how far it is. */
export function plainDisplay(write: (line: string) => void, options: TemporalOptions = {}): Display {
  const meter = new RateMeter();
  const said = new Set<string>();
  let lastProgressMs = 0;
  const once = (key: string, line: string) => {
    if (said.has(key)) return;
    said.add(key);
    write(line);
  };
  return {
    show(view, nowMs) {
      const time = new Date(nowMs).toISOString();
      if (view.silence !== null && !isOver(view.status)) once(`silence ${view.silence.replaceAll(/\d+/g, '')}`, `${time} ${plain(view.silence)}`);
      if (view.progress?.paused) once(`${pauseOf(view.progress.phase)} ${view.progress.steps.length}`, `${time} ${pauseOf(view.progress.phase)}`);
      for (const step of view.progress?.steps ?? []) {
        once(`start ${step.startedAt} ${step.name}`, `${step.startedAt} ${plain(step.name)}`);
        if (step.finishedAt !== null) once(`end ${step.startedAt} ${step.name}`, `${step.finishedAt} ${plain(step.name)}: ${step.outcome}${step.summary ? `, ${plain(step.summary)}` : ''}`);
      }
      const gate = view.progress?.openGate;
      if (gate) once(`gate ${gate.name} ${gate.openedAt}`, gateLines(view, nowMs, options).map((line) => `${time} ${line.trim()}`).join('\n'));
      for (const reason of view.progress?.refused ?? []) once(`refused ${reason}`, `${time} refused: ${plain(reason)}`);
      if ((view.progress?.refusedLeftOut ?? 0) > 0) once('refused more', `${time} refused: more than are told here`);
      const rates = view.activities.map((activity) => [activity, meter.rate(activity, nowMs)] as const);
      if (nowMs - lastProgressMs < PLAIN_PROGRESS_MS) return;
      const moving = rates.filter(([activity]) => activity.bytesDone !== null);
      if (moving.length > 0) lastProgressMs = nowMs;
      for (const [activity, rate] of moving) write(`${time} ${activityLine(activity, rate)}`);
    },
  };
}
