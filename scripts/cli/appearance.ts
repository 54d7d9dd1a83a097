/** What `--color` and `--output none` say, for everything that the process prints from now on. */
export function applyAppearance({ color, output }: { color: unknown; output: unknown }): void {
  // picocolors, which is loaded later, takes a word `--color` for "always", whatever comes behind it.
  process.argv = process.argv.filter((word) => word !== '--color');
  if (color === 'never') process.env['NO_COLOR'] = '1';
  if (color === 'always') {
    delete process.env['NO_COLOR'];
    process.env['FORCE_COLOR'] = '1';
  }
  if (output === 'none') process.stdout.write = () => true;
}
