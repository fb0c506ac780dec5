import { clickId } from "./click";
import { keys } from "./queue";
import { consentName, moreName } from "./site";
import { base, tag } from "./tag";
import { grant, refuse } from "./visit";

type Part = typeof import("./more");
let part: Promise<Part> | undefined;

/**
 * Does something with `more.ts`, which is loaded once it is needed. The nonce of our tag holds for it too; a page that lists
 * digests of scripts would report it.
 */
export const more = (what: keyof Part): Promise<any> =>
  (part ||= tag!.integrity ? Promise.reject() : import(base() + "/" + moreName))
    .then((part) => part[what]([window, clickId, grant, refuse, base() + "/" + consentName, keys]))
    .catch(() => false);
