// All scenarios. `part`: it runs in every run of the tests in Firefox with uBlock Origin too. `without`: makes that lack what it
// needs. `browser`: how the browser is started.
import { checkout } from "./scenarios/checkout.mjs";
import { consent } from "./scenarios/consent.mjs";
import { landing } from "./scenarios/landing.mjs";
import { loading } from "./scenarios/loading.mjs";
import { trouble } from "./scenarios/trouble.mjs";
import { visits } from "./scenarios/visits.mjs";

export const scenarios = [...landing, ...loading, ...visits, ...checkout, ...trouble, ...consent];
