// Two validator clients with the same keys: the mistake that gets most validators slashed.
// Every slot has one winner, the other is refused, and the chain does not notice.

import { BINARY } from "../src/settings.mjs";
import { checkOneOfTwo, playTwo, settingOfTwo } from "../src/two-clients.mjs";

export const setting = () => settingOfTwo(BINARY.guard());
export const play = playTwo;
export const check = checkOneOfTwo;
