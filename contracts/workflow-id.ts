/** The longest workflow id that a server takes, in bytes, where nobody configured another. */
const LONGEST_ID = 1_000;

/** Whether a server takes this as a workflow id: a command with another one fails its workflow's task, each time. */
export function isWorkflowId(id: string): boolean {
  return new TextEncoder().encode(id).length <= LONGEST_ID;
}

/**
 * A workflow id of a part for people, which is left out where there is no room for it, and one that is unique by itself.
 * @param unique at most a few hundred bytes
 */
export function shortWorkflowId(forPeople: string, unique: string): string {
  const kind = forPeople.slice(0, forPeople.indexOf('/') + 1);
  return isWorkflowId(forPeople + unique) ? forPeople + unique : kind + unique;
}
