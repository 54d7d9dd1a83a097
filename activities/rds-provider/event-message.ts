/**
 * The instance that a message from the queue tells of, in lower case as RDS keeps it; undefined where it is no message of RDS about
 * an instance. Anybody who may write to the queue may have made it up: that it came is a reason to look, and nothing else.
 */
export function instanceOf(body: string | undefined): string | undefined {
  const outer = membersOf(body);
  // SNS wraps what it brings, unless the subscription has raw delivery.
  const told = typeof outer?.['Message'] === 'string' ? membersOf(outer['Message']) : outer;
  const name = told?.['Source ID'];
  return told?.['Event Source'] === 'db-instance' && typeof name === 'string' ? name.toLowerCase() : undefined;
}

function membersOf(text: string | undefined): Record<string, unknown> | undefined {
  try {
    const parsed: unknown = JSON.parse(text ?? '');
    return typeof parsed === 'object' && parsed !== null ? parsed as Record<string, unknown> : undefined;
  } catch {
    return undefined;
  }
}
