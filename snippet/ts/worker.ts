import { initSync, parse } from "tracker";

/** Written in by the build: the name of the WebAssembly file, which lies beside this one. */
declare const WASM_NAME: string;

/** Answers the fields of `/track`, null when the address holds no referral, 0 when it could not be read here. */
onmessage = async ({ data: [url, parameters] }: MessageEvent<[string, string]>): Promise<void> => {
  let answer = 0;
  try {
    const file = await fetch(WASM_NAME);
    // A proxy that adds a policy to every answer adds it to this worker's too: compiling would be a violation.
    if (file.ok && !file.headers.has("content-security-policy")) {
      initSync({ module: await file.arrayBuffer() });
      answer = JSON.parse(parse(url, parameters) || "null");
    }
  } catch {
    // the page then sends the address as it is
  }
  postMessage(answer);
};
