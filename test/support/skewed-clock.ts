import { execFile } from 'node:child_process';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** Wraps the calls by which a program of glibc asks for the time of day; other clocks are left alone. */
const source = `
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
static long skew(void) { const char *text = getenv("TEST_CLOCK_SKEW_SECONDS"); return text ? atol(text) : 0; }
int gettimeofday(struct timeval *tv, void *tz) {
  static int (*real)(struct timeval *, void *);
  if (!real) *(void **)&real = dlsym(RTLD_NEXT, "gettimeofday");
  int answer = real(tv, tz);
  if (tv) tv->tv_sec += skew();
  return answer;
}
int clock_gettime(clockid_t id, struct timespec *ts) {
  static int (*real)(clockid_t, struct timespec *);
  if (!real) *(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
  int answer = real(id, ts);
  if (ts && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) ts->tv_sec += skew();
  return answer;
}
time_t time(time_t *into) {
  struct timeval tv;
  gettimeofday(&tv, 0);
  if (into) *into = tv.tv_sec;
  return tv.tv_sec;
}
`;

/**
 * Environment in which a server's clock is that many seconds off, its WAL included. Undefined where this host has no C
 * compiler to build the few lines that do it. What it loads lies in `directory`, which every user may then enter.
 */
export async function skewedClock(directory: string, seconds: number): Promise<Record<string, string> | undefined> {
  // The server's user must be able to load what is in it.
  await chmod(directory, 0o755);
  const library = join(directory, 'skewed-clock.so');
  await writeFile(join(directory, 'skewed-clock.c'), source);
  const built = await promisify(execFile)('cc', ['-shared', '-fPIC', '-O1', '-o', library, join(directory, 'skewed-clock.c'), '-ldl']).then(() => true, () => false);
  if (!built) return undefined;
  await chmod(library, 0o755);
  return { LD_PRELOAD: library, TEST_CLOCK_SKEW_SECONDS: String(seconds) };
}
