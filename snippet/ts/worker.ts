/**
 * Reads an address with WebAssembly: `read` in the page, which starts a worker of this same file, and what the worker does. Its own
 * answer's policy holds in the worker, not the page's.
 */
import type { Fields } from "./address";

/** Written in by the build: the name of the WebAssembly file, which lies beside this one. */
declare const WASM_NAME: string;

interface TrustedTypes {
  defaultPolicy: unknown;
  createPolicy(name: string, rules: { createScriptURL(url: string): string }): { createScriptURL(url: string): string };
}

/** What may be handed to `Worker`: a page that requires trusted types refuses, and reports, plain text. */
let policy: ReturnType<TrustedTypes["createPolicy"]> | undefined;
const workerUrl = (): string => {
  const { trustedTypes } = self as { trustedTypes?: TrustedTypes };
  // A nonce or a `<meta>` tells of a policy that may not allow our path, and what a policy for types says to it cannot be known.
  if (trustedTypes?.defaultPolicy || document.querySelector('script[nonce],meta[http-equiv="content-security-policy" i]')) throw 0;
  if (!trustedTypes) return import.meta.url;
  policy ||= trustedTypes.createPolicy("referral", { createScriptURL: (same) => same });
  return policy.createScriptURL(import.meta.url);
};

/** The fields of `/track`, 0 when the address holds no referral, undefined when it could not be read here. */
export const read = (url: string, parameters: string): Promise<Fields | 0 | undefined> =>
  new Promise((resolve) => {
    const worker = new Worker(workerUrl(), { type: "module" });
    worker.onmessage = ({ data }: MessageEvent<Fields | 0 | undefined>) => resolve(data);
    worker.onerror = (event) => {
      event.preventDefault();
      resolve(undefined);
    };
    worker.postMessage([url, parameters]);
  });

/** What wasm-bindgen makes of the crate `tracker-wasm`. Texts go in as address and length, and so the answer comes out. */
interface Tracker {
  memory: WebAssembly.Memory;
  parse(url: number, urlBytes: number, parameters: number, parametersBytes: number): [number, number];
  __wbindgen_malloc(bytes: number, alignment: number): number;
}

/** Runs the parser in an instance of its own: nothing has to be freed. The usual glue is larger than all of this file. */
const parse = (file: BufferSource, url: string, parameters: string): string => {
  const tracker = new WebAssembly.Instance(new WebAssembly.Module(file)).exports as unknown as Tracker;
  const put = (text: string): [number, number] => {
    const bytes = new TextEncoder().encode(text);
    const at = tracker.__wbindgen_malloc(bytes.length, 1);
    new Uint8Array(tracker.memory.buffer).set(bytes, at);
    return [at, bytes.length];
  };
  const [at, length] = tracker.parse(...put(url), ...put(parameters));
  return new TextDecoder().decode(new Uint8Array(tracker.memory.buffer, at, length));
};

/** Answers once, as `read` does. */
const answer = async ({ data: [url, parameters] }: MessageEvent<[string, string]>): Promise<void> => {
  let fields;
  try {
    const file = await fetch(WASM_NAME);
    // A proxy that adds a policy to every answer adds it to this worker's too: compiling would be a violation.
    if (file.ok && !file.headers.has("content-security-policy")) {
      fields = JSON.parse(parse(await file.arrayBuffer(), url, parameters) || "0");
    }
  } catch {
    // the page then sends the address as it is
  }
  postMessage(fields);
  close();
};
if (!self.document) onmessage = answer;
