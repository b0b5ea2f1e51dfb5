//! Customers who were erased: what a source still says of them is not taken, and not kept. They are known
//! by outside id, unionid and id on another platform; by a mobile number alone nobody knows them any more.

use datafusion::arrow::record_batch::RecordBatch;
use tagmill_store::Warehouse;
use tagmill_store::erase::Erased;

use super::conform::{Conformed, RefusedRow, place_of};
use super::keys::text_at;
use super::merge::take_rows;
use super::quarantine::Refusal;
use crate::error::IngestError;

/// What stands in quarantine in the place of what a row said.
const RAW: &str = "erased";

/// Whom the rows of one source may no longer be about.
#[derive(Debug, Default, Clone)]
pub(crate) struct ErasedPeople {
    erased: Option<Erased>,
    id_space: String,
}

impl ErasedPeople {
    pub(crate) async fn load(warehouse: &Warehouse, id_space: &str) -> Result<Self, IngestError> {
        let erased = warehouse.erased().await?;
        Ok(Self { erased: Some(erased).filter(|erased| !erased.is_empty()), id_space: id_space.to_owned() })
    }

    /// Takes the rows about erased customers out of a batch, be they whole or not, without what they said.
    pub(super) fn take_out(
        &self,
        conformed: Conformed,
        refused: &mut Vec<RefusedRow>,
    ) -> Result<Conformed, IngestError> {
        let Some(erased) = &self.erased else { return Ok(conformed) };
        for (row, refused) in refused.iter_mut().enumerate().take(conformed.refused.num_rows()) {
            if self.is_about(erased, &conformed.refused, row) {
                *refused = of_erased(&conformed.refused, row);
            }
        }
        let rows = &conformed.rows;
        let (gone, kept): (Vec<u32>, Vec<u32>) =
            (0..rows.num_rows() as u32).partition(|row| self.is_about(erased, rows, *row as usize));
        if gone.is_empty() {
            return Ok(conformed);
        }
        refused.extend(gone.iter().map(|row| of_erased(rows, *row as usize)));
        Ok(Conformed { rows: take_rows(rows, &kept)?, refused: conformed.refused })
    }

    fn is_about(&self, erased: &Erased, rows: &RecordBatch, row: usize) -> bool {
        let told = |column| text_at(rows, column, row);
        told("customer_id").is_some_and(|id| erased.is_erased(&self.id_space, id))
            || told("unionid").is_some_and(|id| erased.is_erased_unionid(id))
            || told("platform")
                .zip(told("platform_id"))
                .is_some_and(|(platform, id)| erased.is_erased_platform_id(platform, id))
    }
}

fn of_erased(rows: &RecordBatch, row: usize) -> RefusedRow {
    let refusal = Refusal::new("ERASED", "it is about a customer who was erased".to_owned());
    RefusedRow { place: place_of(rows, row), refusal, raw: RAW.to_owned() }
}
