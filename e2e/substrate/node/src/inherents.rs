//! What every block states by itself: its time and its slot.

use sp_consensus_babe::{SlotDuration, inherents::InherentDataProvider as Slot};
use sp_core::H256;
use sp_inherents::CreateInherentDataProviders;
use sp_timestamp::InherentDataProvider as Timestamp;

use crate::chain::Block;

/// Reads the machine's clock and cuts its time into slots.
#[derive(Clone, Copy)]
pub(crate) struct Inherents(pub(crate) SlotDuration);

#[async_trait::async_trait]
impl CreateInherentDataProviders<Block, ()> for Inherents {
    type InherentDataProviders = (Slot, Timestamp);

    async fn create_inherent_data_providers(
        &self,
        _parent: H256,
        (): (),
    ) -> Result<Self::InherentDataProviders, Box<dyn std::error::Error + Send + Sync>> {
        let timestamp = Timestamp::from_system_time();
        Ok((Slot::from_timestamp_and_slot_duration(*timestamp, self.0), timestamp))
    }
}
