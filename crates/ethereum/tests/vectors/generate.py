"""Writes specification.json: requests of every type and fork with random content, each with the
signing root that the executable consensus specification computes for it.

    pip install eth-consensus-specs==1.7.0a13 ckzg py_arkworks_bls12381
    python generate.py specification.json

The content comes from a fixed seed, so the same versions write the same file.
"""
import importlib
import json
import sys
from random import Random

from eth_consensus_specs.debug import random_value
from eth_consensus_specs.debug.encode import encode
from remerkleable.basic import uint64
from remerkleable.byte_arrays import ByteList
from remerkleable.complex import Container

FORKS = ["phase0", "altair", "bellatrix", "capella", "deneb", "electra", "fulu", "gloas"]
LAST_BYTE_OF_VERSIONS = {"mainnet": 0, "minimal": 1}
SLOTS_PER_EPOCH = {"mainnet": 32, "minimal": 8}

random = Random(20261120)
requests = []


def spec(fork, preset):
    return importlib.import_module(f"eth_consensus_specs.{fork}.{preset}")


def make(ssz_type, list_length=3, byte_length=40):
    return random_value.get_random_ssz_object(
        random, ssz_type, max_bytes_length=byte_length, max_list_length=list_length,
        mode=random_value.RandomizationMode.mode_random, chaos=False)


def number():
    """Low enough that the epochs around it exist."""
    return random.randrange(2 ** 40)


def as_json(value):
    """The SSZ JSON mapping: integers are decimal strings."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, dict):
        return {name: as_json(field) for name, field in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_json(element) for element in value]
    return value


def obj(value):
    return as_json(encode(value))


def hexadecimal(data):
    return "0x" + bytes(data).hex()


def version(fork, preset):
    return bytes([FORKS.index(fork), 0, 0, LAST_BYTE_OF_VERSIONS[preset]])


def fork_versions(current, epoch):
    """Previous version, current version and epoch that select `current` for `epoch`."""
    if epoch is not None and random.random() < 0.5:
        return current, bytes([0xAA, 1, 2, 3]), epoch + 1 + random.randrange(1000)
    return bytes([0xBB, 1, 2, 3]), current, epoch if epoch is not None else 7


def emit(name, preset, kind, field, content, signed, domain_type, fork, epoch=None,
         duty="harmless", any_chain=False, claimed=None, with_spec=None):
    with_spec = with_spec or spec("gloas", preset)
    root = bytes(32) if any_chain else bytes(random.randrange(256) for _ in range(32))
    current = version(fork, preset)
    body = {"type": kind}
    if not any_chain:
        previous_version, current_version, fork_epoch = claimed or fork_versions(current, epoch)
        body["fork_info"] = {
            "fork": {"previous_version": hexadecimal(previous_version),
                     "current_version": hexadecimal(current_version), "epoch": str(fork_epoch)},
            "genesis_validators_root": hexadecimal(root)}
    body[field] = content
    domain = with_spec.compute_domain(
        with_spec.DomainType(bytes.fromhex(domain_type)), with_spec.Version(current),
        with_spec.Root(root))
    body["signingRoot"] = hexadecimal(with_spec.compute_signing_root(signed, domain))
    requests.append({"name": name, "network": preset, "duty": duty, "body": body})


def of_fork(fork, preset):
    of, name, per_epoch = spec(fork, preset), fork.upper(), SLOTS_PER_EPOCH[preset]
    block = make(of.BeaconBlock, 2)
    block.slot = number()
    slot = int(block.slot)
    about = dict(signed=block, domain_type="00000000", fork=fork, epoch=slot // per_epoch,
                 duty=f"proposal:{slot}", with_spec=of)
    if fork in ("phase0", "altair"):
        emit(f"block {fork}", preset, "BLOCK_V2", "beacon_block",
             {"version": name, "block": obj(block)}, **about)
    if fork == "phase0":
        emit("deprecated block", preset, "BLOCK", "block", obj(block), **about)
    header = {"slot": str(slot), "proposer_index": str(int(block.proposer_index)),
              "parent_root": hexadecimal(block.parent_root),
              "state_root": hexadecimal(block.state_root),
              "body_root": hexadecimal(of.hash_tree_root(block.body))}
    emit(f"header {fork}", preset, "BLOCK_V2", "beacon_block",
         {"version": name, "block_header": header}, **about)

    data = make(of.AttestationData)
    source = number()
    data.source.epoch, data.target.epoch = source, source + 1
    emit(f"attestation {fork}", preset, "ATTESTATION", "attestation", obj(data), data, "01000000",
         fork, source + 1, f"attestation:{source}:{source + 1}", with_spec=of)

    proof = make(of.AggregateAndProof, 300)
    proof.aggregate.data.slot = number()
    about = dict(signed=proof, domain_type="06000000", fork=fork, with_spec=of,
                 epoch=int(proof.aggregate.data.slot) // per_epoch)
    field = "aggregate_and_proof"
    emit(f"aggregate {fork}", preset, "AGGREGATE_AND_PROOF_V2", field,
         {"version": name, "data": obj(proof)}, **about)
    if fork in ("phase0", "deneb", "electra", "fulu"):
        emit(f"deprecated aggregate {fork}", preset, "AGGREGATE_AND_PROOF", field, obj(proof),
             **about)
        emit(f"unversioned aggregate {fork}", preset, "AGGREGATE_AND_PROOF_V2", field, obj(proof),
             **about)


def of_any_fork(preset):
    of, per_epoch = spec("gloas", preset), SLOTS_PER_EPOCH[preset]
    slot, epoch = number(), number()
    emit("aggregation slot", preset, "AGGREGATION_SLOT", "aggregation_slot", {"slot": str(slot)},
         of.Slot(slot), "05000000", "fulu", slot // per_epoch)
    emit("randao", preset, "RANDAO_REVEAL", "randao_reveal", {"epoch": str(epoch)},
         of.Epoch(epoch), "02000000", "fulu", epoch)
    for signed_with, claimed in (("phase0", "phase0"), ("capella", "capella"),
                                 ("capella", "deneb"), ("capella", "electra"), ("capella", "fulu")):
        leaving = make(of.VoluntaryExit)
        leaving.epoch = number()
        emit(f"exit claimed {claimed}", preset, "VOLUNTARY_EXIT", "voluntary_exit", obj(leaving),
             leaving, "04000000", signed_with, duty="irrevocable",
             claimed=(bytes([0xBB, 1, 2, 3]), version(claimed, preset), int(leaving.epoch)))
    deposit = make(of.DepositMessage)
    content = {**obj(deposit), "genesis_fork_version": hexadecimal(version("phase0", preset))}
    emit("deposit", preset, "DEPOSIT", "deposit", content, deposit, "03000000", "phase0",
         duty="irrevocable", any_chain=True)
    change = make(of.BLSToExecutionChange)
    emit("withdrawal credentials", preset, "BLS_TO_EXECUTION_CHANGE", "BLS_TO_EXECUTION_CHANGE",
         obj(change), change, "0a000000", "phase0", duty="irrevocable",
         claimed=(bytes([0xBB, 1, 2, 3]), version("capella", preset), 9))


def of_sync_committees(preset):
    of, slot = spec("gloas", preset), number()
    epoch = slot // SLOTS_PER_EPOCH[preset]
    root = make(of.Root)
    emit("sync message", preset, "SYNC_COMMITTEE_MESSAGE", "sync_committee_message",
         {"beacon_block_root": hexadecimal(root), "slot": str(slot)}, root, "07000000", "altair",
         epoch)
    data = make(of.SyncAggregatorSelectionData)
    data.slot = slot
    emit("sync selection", preset, "SYNC_COMMITTEE_SELECTION_PROOF",
         "sync_aggregator_selection_data", obj(data), data, "08000000", "altair", epoch)
    proof = make(of.ContributionAndProof)
    proof.contribution.slot = slot
    emit("contribution", preset, "SYNC_COMMITTEE_CONTRIBUTION_AND_PROOF", "contribution_and_proof",
         obj(proof), proof, "09000000", "altair", epoch)


def of_builders(preset):
    of, slot = spec("gloas", preset), number()
    epoch = slot // SLOTS_PER_EPOCH[preset]

    # builder-specs specs/bellatrix/builder.md
    class ValidatorRegistrationV1(Container):
        fee_recipient: of.ExecutionAddress
        gas_limit: uint64
        timestamp: uint64
        pubkey: of.BLSPubkey

    # builder-specs specs/gloas/validator.md
    class RequestAuthV1(Container):
        data: ByteList[4096]
        slot: uint64

    def versioned(value):
        return {"version": "GLOAS", "data": obj(value)}

    registration = make(ValidatorRegistrationV1)
    emit("registration", preset, "VALIDATOR_REGISTRATION", "validator_registration",
         obj(registration), registration, "00000001", "phase0", any_chain=True)
    for length in (0, 7):
        bid = make(of.ExecutionPayloadBid, length)
        bid.slot = slot
        emit(f"bid {length}", preset, "EXECUTION_PAYLOAD_BID", "execution_payload_bid",
             versioned(bid), bid, "0b000000", "gloas", epoch)
        envelope = make(of.ExecutionPayloadEnvelope, min(length, 2), 200 if length else 0)
        envelope.payload.slot_number = slot
        emit(f"envelope {length}", preset, "EXECUTION_PAYLOAD_ENVELOPE",
             "execution_payload_envelope", versioned(envelope), envelope, "0b000000", "gloas", epoch)
    for present, available in ((True, False), (False, True)):
        data = make(of.PayloadAttestationData)
        data.slot, data.payload_present, data.blob_data_available = slot, present, available
        emit(f"payload attestation {present} {available}", preset, "PAYLOAD_ATTESTATION_MESSAGE",
             "payload_attestation_message", versioned(data), data, "0c000000", "gloas", epoch)
    preferences = make(of.ProposerPreferences)
    preferences.proposal_slot = slot
    emit("preferences", preset, "PROPOSER_PREFERENCES", "proposer_preferences",
         versioned(preferences), preferences, "0d000000", "gloas", epoch)
    for data in (b"", b"https://builder.example.com", bytes(range(200))):
        auth = RequestAuthV1(data=data, slot=slot)
        emit(f"request auth {len(data)}", preset, "BUILDER_REQUEST_AUTH", "builder_request_auth",
             versioned(auth), auth, "0b000001", "phase0", any_chain=True)


for preset in ("mainnet", "minimal"):
    for fork in FORKS:
        of_fork(fork, preset)
    of_any_fork(preset)
    of_sync_committees(preset)
    of_builders(preset)

origin = ("Computed by generate.py with the executable consensus specification "
          "(eth-consensus-specs 1.7.0a13); random content from a fixed seed.")
with open(sys.argv[1], "w") as out:
    json.dump({"origin": origin, "requests": requests}, out, indent=0, separators=(",", ":"))
