import { beforeItGoes, passed } from "./time";
import { parameters, workerName } from "./site";
import { askedAddress, base, settings, tag } from "./tag";

/** Fields of `/track`; `url`, an address or its query, stands for all that an address can hold. */
export type Fields = Record<string, string>;

/** Longer addresses do not fit into what the edge takes. */
const MAX_URL_CHARS = 8000;
/** How long the worker may take before the address is sent as it is. */
const WORKER_MS = 1000;

/**
 * The parameters that name an affiliate, unless somebody else's page holds ours in a frame: nobody followed a link there, and that
 * is how clicks are faked. Only a click that is handed over (`affonso_id`) is taken, as a checkout in a frame needs it.
 */
let affiliates = "";
try {
  affiliates = top!.location.href && parameters.replace(/,/g, "|") + "|";
} catch {
  // it may not be looked at
}
const names = RegExp("[?&#](" + affiliates + "affonso_id)=");

/** Whether an address, or a part of it, can hold a referral. `unescape` never throws, and names may be percent-encoded. */
export const canRefer = (address: string): boolean => names.test(unescape(address));

/**
 * Whether the part that reads addresses here can be loaded: a page that lists digests would report it, and `data-parser="edge"` is
 * for policies that nothing on the page tells of (`worker-src 'none'`, a list of trusted types without `referral`).
 */
const mayLoad = (): boolean => base().startsWith(location.origin + "/") && settings.parser !== "edge" && !tag!.integrity;

/**
 * Reads an address: its fields, or 0 when it holds no referral after all. What the site was asked for, but for the fragment, is no
 * news to the edge, so it may read that at once. What only the browser knows is read in the browser where that can be.
 */
export const read = async (href: string): Promise<Fields | 0> => {
  const { hash, search } = new URL(href);
  const isInside = href !== askedAddress || canRefer(hash);
  let fields: Fields | 0 | void = undefined;
  if (isInside && mayLoad()) {
    const part: Promise<typeof import("./worker")> = import(base() + "/" + workerName);
    fields = await beforeItGoes(part.then((part) => part.read(href, parameters)).catch(() => {}), passed(WORKER_MS));
  }
  return fields ?? { url: (isInside ? href : search).slice(0, MAX_URL_CHARS) };
};
