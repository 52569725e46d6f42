// Evidence: plays a scenario and gathers all that its checks look at.

import { signatureVerifier } from "./lodestar.mjs";
import { slashableGrants, verifySignatures } from "./judge.mjs";
import { isGranted } from "./requests.mjs";

/**
 * Builds the stand, lets the scenario play, stops everything and looks at what is left.
 * The guard is stopped while its clients still ask: what it grants then counts, that it
 * refuses or is gone does not.
 * `scenario.play(stand)` returns facts of its own, which are added to the evidence.
 */
export async function gatherEvidence(scenario, stand) {
  await stand.build(scenario.setting());
  const played = await scenario.play(stand);
  const outcome = await stand.chain.outcome();
  const stopping = new Date().toISOString();
  const stopped = await stand.guard.stop();
  await stand.tearDown();
  const records = stand.records.filter((record) => isGranted(record) || record.at < stopping);
  return {
    ...played,
    ...(await aftermath(scenario, stand.guard)),
    records,
    outcome,
    stopped,
    slashable: slashableGrants(records),
    signatures: verifySignatures(records, await signatureVerifier()),
  };
}

// A guard without protection keeps no history worth reading.
async function aftermath(scenario, guard) {
  if (scenario.withoutProtection) return {};
  return {
    journal: await orFailure(() => guard.verifyJournal()),
    history: await orFailure(() => guard.exportHistory()),
  };
}

async function orFailure(action) {
  try {
    return await action();
  } catch (error) {
    return { failure: error.message };
  }
}
