/** The C library that sorts text on this host; null where it is not glibc. Another version may sort otherwise. */
export function glibcVersion(): string | null {
  const { header } = process.report.getReport() as { header?: { glibcVersionRuntime?: string } };
  return header?.glibcVersionRuntime ?? null;
}
