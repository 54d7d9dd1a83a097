import type { Difference } from '../../../contracts/manifest.ts';
import { libraryTrouble } from '../../postgres/library-trouble.ts';
import { saysNothingOfTheData, sqlState } from '../errors.ts';

/** What PostgreSQL says of its own catalog, or of the files of that, where it cannot read them: a difference, as it is of a table; else undefined. */
export function unreadableCatalog(error: unknown): Difference | undefined {
  const code = sqlState(error);
  if (!/^(XX|58)/.test(code) || saysNothingOfTheData(error) || libraryTrouble(error) !== undefined) return undefined;
  return { kind: 'unreadable', table: 'pg_catalog', code, message: (error as Error).message, fromPage: 0, toPage: null };
}

/** What of one copy's catalog cannot be read: damage, that keeps nobody from looking at the rest. */
export class CatalogDamage {
  readonly #found = new Map<string, Difference>();

  get differences(): Difference[] {
    return [...this.#found.values()];
  }

  /**
   * What is read of the copy's catalog; undefined where the copy cannot read it.
   * @param answer what it asks of the source it must ask as `ofSource` does, whose errors are none of the copy's
   */
  async reading<T>(answer: Promise<T>): Promise<T | undefined> {
    return answer.catch((error: unknown) => {
      const difference = unreadableCatalog(error);
      if (!difference) throw error;
      this.#found.set((error as Error).message, difference);
      return undefined;
    });
  }
}
