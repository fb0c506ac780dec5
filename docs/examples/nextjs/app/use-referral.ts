"use client";
import { useSyncExternalStore } from "react";

/** The id of the click, undefined until it is known, and for visitors that nobody has sent. */
export function useReferral(): string | undefined {
  return useSyncExternalStore(
    subscribe,
    () => window.affonso_referral,
    () => undefined,
  );
}

function subscribe(changed: () => void): () => void {
  window.addEventListener("affonso_referral_ready", changed);
  return () => window.removeEventListener("affonso_referral_ready", changed);
}
