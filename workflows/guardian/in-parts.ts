/** The server takes 2,000 signals at most that one workflow has sent and that have not arrived. */
const AT_ONCE = 100;

/** Tells so many, a part at once. @param tell gets a number from 0 on */
export async function inParts(count: number, tell: (index: number) => Promise<void>): Promise<void> {
  for (let from = 0; from < count; from += AT_ONCE) {
    await Promise.all(Array.from({ length: Math.min(count - from, AT_ONCE) }, (_, index) => tell(from + index)));
  }
}
