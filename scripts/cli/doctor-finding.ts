/** One thing that the doctor looked at. */
export interface Finding {
  /** What it is about: `temporal`, `host`, `evidence`, `notifications`, `approvals`, or a database of the configuration. */
  about: string;
  name: string;
  /** `problem`: a drill would fail, people would not be told, or no decision could count. `warning`: it works, with less. `skipped`: it could not be looked at. */
  outcome: 'ok' | 'warning' | 'problem' | 'skipped';
  /** What was found, in a sentence. */
  detail: string;
  /** What to do about it; null when nothing is to be done. */
  todo: string | null;
}

/** Collects what is found about one subject. */
export class Findings {
  readonly all: Finding[] = [];
  readonly #about: string;
  constructor(about: string) { this.#about = about; }

  ok(name: string, detail: string): void { this.#add(name, 'ok', detail, null); }
  warning(name: string, detail: string, todo: string): void { this.#add(name, 'warning', detail, todo); }
  problem(name: string, detail: string, todo: string): void { this.#add(name, 'problem', detail, todo); }
  skipped(name: string, detail: string): void { this.#add(name, 'skipped', detail, null); }

  #add(name: string, outcome: Finding['outcome'], detail: string, todo: string | null): void {
    this.all.push({ about: this.#about, name, outcome, detail, todo });
  }
}

/** First line of what was thrown. */
export function messageOf(error: unknown): string {
  const { message, code } = error as NodeJS.ErrnoException;
  return (message || code || String(error)).split('\n')[0] ?? '';
}
