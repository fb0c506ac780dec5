import { base } from "./tag";

/** An edge that hangs shall not hold up a page that waits for its answer. */
const ANSWER_MS = 2e4;

/**
 * Posts to a path below the base. Gives whether it was taken and the answer's JSON; undefined when it may be taken later: there was
 * no answer, or one that says so. Never rejects. A request outlives the page. On another host of the site, cookies are only set
 * when credentials are asked for; the body is plain text to the browser, so that it need not ask for leave there first.
 */
export const request = async (path: string, body: object): Promise<[isTaken: boolean, answer: any] | undefined> => {
  try {
    const response = await fetch(base() + "/" + path, {
      method: "POST",
      body: JSON.stringify(body),
      credentials: "include",
      keepalive: true,
      signal: (AbortSignal as any).timeout?.(ANSWER_MS),
    });
    // An answer that is not read to its end keeps its connection.
    const answer = await response.json().catch(() => {});
    if (response.status !== 429 && response.status < 500) return [response.ok, answer];
  } catch {
    // nobody answers
  }
  return;
};
