/** Restores take so long on average, and differ so much: standard deviation by mean. */
const MEAN_MS = 15 * 60_000;
const VARIATION = 0.25;

/** Draws durations of three shapes in turn, each with the same mean and spread: what is learnt of the past must not hang on one. */
export function durationsFrom(random: () => number): () => number {
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const sigma = Math.sqrt(Math.log(1 + VARIATION ** 2));
  const shapes = [
    () => Math.max(MEAN_MS / 20, MEAN_MS * (1 + VARIATION * normal())),
    () => MEAN_MS * Math.exp(sigma * normal() - sigma ** 2 / 2),
    // Of shape 16, whose variation is 1 by the root of it.
    () => { let sum = 0; for (let part = 0; part < 1 / VARIATION ** 2; part += 1) sum -= Math.log(1 - random()); return MEAN_MS * sum * VARIATION ** 2; },
  ];
  let turn = 0;
  return () => (shapes[turn++ % shapes.length] as () => number)();
}
