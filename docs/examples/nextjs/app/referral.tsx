"use client";
import { useReferral } from "./use-referral";

/** Shows who is credited: a shop shows a discount here, or nothing. */
export function Referral() {
  const id = useReferral();
  return <p>The click: <code id="referral">{id ?? "none"}</code></p>;
}
