"use client";
import { useState } from "react";

/** A checkout that the server makes: it reads the cookie, nothing has to be sent along. */
export function Checkout() {
  const [session, setSession] = useState("");
  async function pay() {
    const answer = await fetch("/api/checkout", { method: "POST" });
    setSession(await answer.text());
  }
  return (
    <p>
      <button id="checkout" onClick={pay}>Checkout by the server</button> <output id="session">{session}</output>
    </p>
  );
}
