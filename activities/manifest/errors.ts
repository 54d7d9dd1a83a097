/** Why no manifest could be taken or compared; activities classify by this, never by the message. */
export type ManifestErrorType =
  | 'unavailable' | 'cancelled' | 'permission' | 'locked' | 'slotBlocked' | 'snapshotTooOld' | 'tooMuchWalRetained' | 'neverQuiet' | 'wrongDatabase';

/** An error of the manifest engine, with a `type` to branch on and one clear sentence that says what to change. */
export class ManifestError extends Error {
  readonly type: ManifestErrorType;
  constructor(type: ManifestErrorType, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ManifestError';
    this.type = type;
  }
}

/** The SQLSTATE of an error of PostgreSQL, or '' when it is none. */
export function sqlState(error: unknown): string {
  return typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string' && error.code.length === 5 ? error.code : '';
}

/** Table, schema, column or type went away or another took its name: definitions moved while we read. */
export const definitionMoved: ReadonlySet<string> = new Set(['42P01', '3F000', '42703', '42704']);
export const lockNotAvailable = '55P03';
export const insufficientPrivilege = '42501';
