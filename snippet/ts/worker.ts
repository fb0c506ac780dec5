/** Written in by the build: the name of the WebAssembly file, which lies beside this one. */
declare const WASM_NAME: string;

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

/** Answers once: the fields of `/track`, null when the address holds no referral, 0 when it could not be read here. */
onmessage = async ({ data: [url, parameters] }: MessageEvent<[string, string]>): Promise<void> => {
  let answer = 0;
  try {
    const file = await fetch(WASM_NAME);
    // A proxy that adds a policy to every answer adds it to this worker's too: compiling would be a violation.
    if (file.ok && !file.headers.has("content-security-policy")) {
      answer = JSON.parse(parse(await file.arrayBuffer(), url, parameters) || "null");
    }
  } catch {
    // the page then sends the address as it is
  }
  postMessage(answer);
  close();
};
