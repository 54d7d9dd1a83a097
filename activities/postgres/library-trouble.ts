/** The file of PostgreSQL's own source in which libraries are loaded, and nothing else is done. */
const LOADER = 'dfmgr.c';
/** What LOAD says to who may not use it: that is no trouble of a library. */
const REFUSES_LOAD = 'check_restricted_library_name';

/**
 * What PostgreSQL says where it cannot load a library, be that gone, built for another server or of another version; else undefined. By
 * where it says so: a file of a table that was lost has the same SQLSTATE (58P01, undefined_file), and a library that cannot be
 * opened, or lacks a function, has that of damage (XX000) or of a function that is not there (42883). The libraries are those of the host
 * on which the server runs, and no backup holds any. It names libraries and functions, and no value of a row.
 */
export function libraryTrouble(error: unknown): string | undefined {
  const { file, routine, message } = (error ?? {}) as { file?: unknown; routine?: unknown; message?: unknown };
  return file === LOADER && routine !== REFUSES_LOAD && typeof message === 'string' ? message : undefined;
}

/** What to do about {@link libraryTrouble}, where that PostgreSQL runs. */
export const INSTALL_LIBRARY = 'install that library for it, in the version that the source has';
