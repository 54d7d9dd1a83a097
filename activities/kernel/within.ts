/** What `work` comes to, or an error when it takes longer. The work itself goes on. */
export async function within<T>(milliseconds: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => { timer = setTimeout(() => reject(new Error(`it did not answer within ${milliseconds / 1_000} s`)), milliseconds); });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}
