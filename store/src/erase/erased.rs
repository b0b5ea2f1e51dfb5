//! Who was erased: by number, and by the hashes of the ids that such a customer is never to come back under.
//!
//! The hashes are salted, with one salt for each warehouse, so that two warehouses cannot be held against each other.
//! Who has the warehouse and an id can find out whether it was erased, which is what the list is for.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tagmill_schemas::ids::CustomerNo;

use super::values::Values;
use crate::error::StoreError;
use crate::location::Location;
use crate::warehouse::Warehouse;

/// The object.
pub(crate) const ERASED: &str = "erased.json";
/// Parts what is hashed together.
const SEPARATOR: &str = "\u{1f}";

/// The customers that were erased from a warehouse.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Erased {
    salt: String,
    customers: Vec<ErasedCustomer>,
}

/// A customer that was erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErasedCustomer {
    /// Its number, which stays.
    pub customer_no: CustomerNo,
    /// The name space of its id.
    pub id_space: String,
    /// When the erasure began.
    pub erased_at: DateTime<Utc>,
    /// Who asked for it.
    pub by: String,
    customer_id: String,
    unionids: Vec<String>,
    platform_ids: Vec<String>,
}

impl Erased {
    /// Whether the customer with that outside key was erased.
    pub fn is_erased(&self, id_space: &str, customer_id: &str) -> bool {
        self.by_key(id_space, customer_id).is_some()
    }

    /// Whether that unionid was an erased customer's, and nobody else's.
    pub fn is_erased_unionid(&self, unionid: &str) -> bool {
        let hash = self.hash("unionid", [unionid, ""]);
        self.customers.iter().any(|customer| customer.unionids.contains(&hash))
    }

    /// Whether that id on another platform was an erased customer's.
    pub fn is_erased_platform_id(&self, platform: &str, platform_id: &str) -> bool {
        let hash = self.hash("platform_id", [platform, platform_id]);
        self.customers.iter().any(|customer| customer.platform_ids.contains(&hash))
    }

    /// Whether nobody was ever erased, so that nothing need be asked.
    pub fn is_empty(&self) -> bool {
        self.customers.is_empty()
    }

    /// What is known of the erased customer with that outside key; the latest, where it came back and was erased again.
    pub fn by_key(&self, id_space: &str, customer_id: &str) -> Option<&ErasedCustomer> {
        let hash = self.hash("customer_id", [id_space, customer_id]);
        self.customers.iter().rfind(|customer| customer.customer_id == hash)
    }

    /// What is known of the erased customer of that number.
    pub(super) fn by_number(&self, number: CustomerNo) -> Option<&ErasedCustomer> {
        self.customers.iter().find(|customer| customer.customer_no == number)
    }

    /// The name spaces of erased customers.
    pub(super) fn id_spaces(&self) -> impl Iterator<Item = &str> {
        self.customers.iter().map(|customer| customer.id_space.as_str())
    }

    fn hash(&self, kind: &str, id: [&str; 2]) -> String {
        let [first, second] = id;
        format!("{:x}", Sha256::digest([self.salt.as_str(), kind, first, second].join(SEPARATOR)))
    }
}

impl Warehouse {
    /// The customers that were erased.
    ///
    /// # Errors
    /// `StoreError::Damaged` where the list cannot be read.
    pub async fn erased(&self) -> Result<Erased, StoreError> {
        read(self.location()).await
    }
}

/// Adds a customer to the list, unless it is there.
pub(super) async fn remember(
    location: &Location,
    values: &Values,
    by: &str,
    erased_at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let mut erased = read(location).await?;
    if erased.by_number(values.customer_no).is_some() {
        return Ok(());
    }
    if erased.salt.is_empty() {
        erased.salt = [uuid::Uuid::new_v4(), uuid::Uuid::new_v4()].map(|random| random.simple().to_string()).concat();
    }
    let platform_ids = values.platform_ids.iter().map(|(platform, id)| erased.hash("platform_id", [platform, id]));
    let customer = ErasedCustomer {
        customer_no: values.customer_no,
        id_space: values.key.id_space.clone(),
        erased_at,
        by: by.to_owned(),
        customer_id: erased.hash("customer_id", [&values.key.id_space, &values.key.customer_id]),
        unionids: values.own_unionids().map(|unionid| erased.hash("unionid", [unionid, ""])).collect(),
        platform_ids: platform_ids.collect(),
    };
    erased.customers.push(customer);
    // Texts, numbers and instants always serialise.
    location.objects().write(ERASED, serde_json::to_vec_pretty(&erased).unwrap_or_default()).await
}

async fn read(location: &Location) -> Result<Erased, StoreError> {
    let Some(content) = location.objects().read(ERASED).await? else { return Ok(Erased::default()) };
    serde_json::from_slice(&content)
        .map_err(|cause| StoreError::Damaged { what: location.shown(ERASED), reason: cause.to_string() })
}

#[cfg(test)]
mod tests {
    use tagmill_schemas::ids::CustomerKey;

    use super::*;

    #[tokio::test]
    async fn the_erased_are_known_by_the_ids_they_had_and_the_list_names_none_of_them() {
        let folder = tempfile::tempdir().unwrap();
        let location = Location::parse(&folder.path().display().to_string()).unwrap();
        assert!(read(&location).await.unwrap().is_empty());
        let key = CustomerKey { id_space: "corp".to_owned(), customer_id: "wm-secret".to_owned() };
        let mut values = Values::new(CustomerNo(7), key);
        values.unionids = ["u-secret", "u-of-two"].map(str::to_owned).into();
        values.shared = ["u-of-two".to_owned()].into();
        values.platform_ids = [("douyin".to_owned(), "d-secret".to_owned())].into();
        let at = "2026-11-11T18:00:00Z".parse().unwrap();
        for _twice in 0..2 {
            remember(&location, &values, "li", at).await.unwrap();
        }
        let erased = read(&location).await.unwrap();
        assert_eq!(erased.customers.len(), 1);
        assert!(erased.is_erased("corp", "wm-secret") && !erased.is_erased("shop", "wm-secret"));
        assert!(erased.is_erased_unionid("u-secret") && !erased.is_erased_unionid("u-of-two"));
        assert!(erased.is_erased_platform_id("douyin", "d-secret"));
        assert!(!erased.is_erased_platform_id("taobao", "d-secret"));
        let known = erased.by_key("corp", "wm-secret").unwrap();
        assert_eq!((known.customer_no, known.erased_at, known.by.as_str()), (CustomerNo(7), at, "li"));
        let content = String::from_utf8(location.objects().read(ERASED).await.unwrap().unwrap()).unwrap();
        assert!(!content.contains("secret") && content.contains("corp"), "{content}");
    }
}
