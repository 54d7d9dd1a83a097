/** Options that every command takes. */
export interface GlobalOptions {
  json?: boolean;
  config?: string;
}

/** Options of commands that talk to Temporal. */
export interface TemporalOptions extends GlobalOptions {
  address?: string;
  namespace?: string;
  profile?: string;
  apiKey?: string;
  tls?: boolean;
  /** Variables of Temporal's profiles that flags stand for; they outrank those of the process. */
  environment?: Record<string, string>;
}
