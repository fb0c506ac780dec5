import { base } from "./tag";

/** An edge that hangs shall not hold up a page that waits for its answer. */
const ANSWER_MS = 2e4;

/**
 * GET of a path below the base, or POST when there is a body. Never rejects: undefined when there was no answer. A request
 * outlives the page. On another host of the site, cookies are only set when credentials are asked for.
 */
export const request = async (path: string, body?: object): Promise<Response | undefined> => {
  try {
    return await fetch(base + "/" + path, {
      credentials: "include",
      signal: (AbortSignal as any).timeout?.(ANSWER_MS),
      ...(body && {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
        keepalive: true,
      }),
    });
  } catch {
    return;
  }
};
