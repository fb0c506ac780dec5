/**
 * Written in by the build, which waits in these ways too: until so many milliseconds have passed, and until the first of some promises
 * or until the page goes, and with it every task that has not begun.
 */
declare const pause: (ms?: number) => Promise<void>;
declare const firstOf: <T>(...all: T[]) => Promise<Awaited<T> | void>;
export const passed = pause;
export const beforeItGoes = firstOf;

/**
 * What comes after the last step, in a task of its own: a slow machine takes a while for its first look into the browser's store, and
 * another for a request. The page has its turn between them, unless nobody sees it: browsers put off a hidden page's timers. What
 * fails stops nothing that comes later.
 */
export const after = (step: () => unknown, last: Promise<unknown> = Promise.resolve()): Promise<unknown> =>
  last
    .then(() => firstOf(document.hidden || pause()))
    .then(step)
    .catch(() => {});
