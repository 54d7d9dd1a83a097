/** The longest workflow id that a server takes, in bytes, where nobody configured another. */
const LONGEST_ID = 1_000;

/** A workflow id of a part for people, which is left out where there is no room for it, and one that is unique by itself. */
export function shortWorkflowId(forPeople: string, unique: string): string {
  const kind = forPeople.slice(0, forPeople.indexOf('/') + 1);
  return new TextEncoder().encode(forPeople + unique).length <= LONGEST_ID ? forPeople + unique : kind + unique;
}
