// The control of `two`: the same play and the same check, with a guard that was built without
// protection. It passes only if that check finds slashable grants, and nothing wrong but what
// follows from them; a check that cannot fail would show nothing.

import { failure, NOTHING_SLASHABLE } from "../src/checks.mjs";
import { BINARY } from "../src/settings.mjs";
import { checkOneOfTwo, playTwo, settingOfTwo } from "../src/two-clients.mjs";

/** What two winners in a slot bring with them: no loser, and a chain that forks. */
const CONSEQUENCES = new Set([NOTHING_SLASHABLE, "one-winner", "losers", "chain"]);

export const withoutProtection = true;
export const setting = () => settingOfTwo(BINARY.withoutProtection());
export const play = playTwo;

export function check(evidence) {
  const found = checkOneOfTwo(evidence);
  const unrelated = found.filter(({ rule }) => !CONSEQUENCES.has(rule));
  if (found.some(({ rule }) => rule === NOTHING_SLASHABLE)) return unrelated;
  const text = "the check of `two` found nothing slashable, though nothing was protected";
  return [failure("control", text), ...unrelated];
}
