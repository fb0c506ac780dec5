/** The page goes, and with it every task that has not begun. */
export const gone = new Promise<void>((resolve) => addEventListener("pagehide", () => resolve()));

export const passed = (ms?: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * What comes after the last step, in a task of its own: a slow machine takes a while for its first look into the browser's store, and
 * another for a request. The page has its turn between them, unless nobody sees it: browsers put off a hidden page's timers. What
 * fails stops nothing that comes later.
 */
export const after = (step: () => unknown, last: Promise<unknown> = Promise.resolve()): Promise<unknown> =>
  last
    .then(() => Promise.race([document.hidden || passed(), gone]))
    .then(step)
    .catch(() => {});
