/** What wasm-bindgen makes of the crate `tracker-wasm`. */
declare module "tracker" {
  export function initSync(options: { module: BufferSource }): unknown;
  export function parse(url: string, parameters: string): string;
}
