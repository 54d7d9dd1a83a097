let version: string | null | undefined;

/** The C library that sorts text on this host; null where it is not glibc. Another version may sort otherwise. */
export function glibcVersion(): string | null {
  // Once: a report is much work, and the library that a process runs with stays.
  if (version === undefined) {
    const { header } = process.report.getReport() as { header?: { glibcVersionRuntime?: string } };
    version = header?.glibcVersionRuntime ?? null;
  }
  return version;
}
