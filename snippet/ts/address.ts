import { parameters, workerName } from "./site";
import { base, isSameOrigin, settings, tag } from "./tag";

/** Fields of `/track`; `url` stands for all that an address can hold. */
export type Fields = Record<string, string>;

/** Longer addresses do not fit into what the edge takes. */
const MAX_URL_CHARS = 8000;
/** How long the worker may take before the address is sent as it is. */
const WORKER_MS = 1000;

/**
 * Whether somebody else's page holds ours in a frame: nobody followed a link there, and that is how clicks are faked. Only a
 * click that is handed over (`affonso_id`) is taken, as a checkout in a frame needs it.
 */
const isFramed = (): boolean => {
  try {
    return !top!.location.href;
  } catch {
    return true;
  }
};

const names = RegExp("[?&#](" + (isFramed() ? "" : parameters.replace(/,/g, "|") + "|") + "affonso_id)=");

/** Whether the address can hold a referral. `unescape` never throws, and names may be percent-encoded. */
export const canRefer = (): boolean => names.test(unescape(location.search + location.hash));

interface TrustedTypes {
  defaultPolicy: unknown;
  createPolicy(name: string, rules: { createScriptURL(url: string): string }): { createScriptURL(url: string): string };
}
const { trustedTypes } = window as { trustedTypes?: TrustedTypes };

/** What may be handed to `Worker`: a page that requires trusted types refuses, and reports, plain text. */
let policy: ReturnType<TrustedTypes["createPolicy"]> | undefined;
const workerUrl = (url: string): string =>
  trustedTypes ? (policy ||= trustedTypes.createPolicy("usher", { createScriptURL: (same) => same })).createScriptURL(url) : url;

/**
 * Whether a worker can be started without breaking a policy. Its own answer's policy then holds in it, not the page's. A
 * nonce, a digest, a default trusted-types policy or a `<meta>` tells of a page's policy that may not allow our path or our
 * own trusted-types policy; `data-parser="edge"` is for policies that nothing on the page tells of (`worker-src 'none'`,
 * a list of trusted types without `usher`).
 */
const mayWork = (): boolean =>
  isSameOrigin &&
  settings.parser !== "edge" &&
  !tag!.nonce &&
  !tag!.integrity &&
  !trustedTypes?.defaultPolicy &&
  !document.querySelector('script[nonce],meta[http-equiv="content-security-policy" i]');

/** Reads the address: its fields, or null when it holds no referral after all. */
export const read = (): Promise<Fields | null> =>
  new Promise((resolve) => {
    const asItIs = { url: location.href.slice(0, MAX_URL_CHARS) };
    try {
      if (mayWork()) {
        const worker = new Worker(workerUrl(base + "/" + workerName));
        worker.onmessage = ({ data }: MessageEvent<Fields | null | 0>) => resolve(data === 0 ? asItIs : data);
        worker.onerror = (event) => {
          event.preventDefault();
          resolve(asItIs);
        };
        worker.postMessage([location.href, parameters]);
        setTimeout(resolve, WORKER_MS, asItIs);
        addEventListener("pagehide", () => resolve(asItIs));
        return;
      }
    } catch {
      // no workers here
    }
    resolve(asItIs);
  });
