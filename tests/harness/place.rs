//! Where a warehouse may lie. What it does has to be the same in each place.

use std::path::PathBuf;
use std::sync::Arc;

use futures::TryStreamExt;
use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use object_store::prefix::PrefixStore;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};

use super::Sandbox;
use super::s3::S3;
use super::view::wait_for;

/// A kind of place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// `file://`
    Folder,
    /// `s3://`
    Bucket,
}

/// A place for a warehouse, and a folder to run the program in, which looks for the warehouse there. The control state of
/// a warehouse in a bucket is kept in the sandbox.
pub struct Site {
    /// The folder to run the program in.
    pub sandbox: Sandbox,
    /// The warehouse.
    pub url: String,
    ground: Ground,
    name: String,
}

/// What a place lies in.
#[derive(Clone)]
enum Ground {
    Folder(PathBuf),
    /// By its name.
    Bucket(String),
}

impl Place {
    /// A place where nothing lies yet, by its path below a folder or a bucket of its own.
    pub fn site(self, name: &str) -> Site {
        let sandbox = Sandbox::new();
        let ground = match self {
            Self::Folder => Ground::Folder(sandbox.root().to_path_buf()),
            Self::Bucket => Ground::Bucket(S3::get().new_bucket()),
        };
        Site::new(sandbox, ground, name)
    }
}

impl Site {
    fn new(sandbox: Sandbox, ground: Ground, name: &str) -> Self {
        let url = match &ground {
            Ground::Folder(folder) => format!("file://{}/{name}", folder.display()),
            Ground::Bucket(bucket) => format!("s3://{bucket}/{name}"),
        };
        let mut environment = vec![("TAGMILL_WAREHOUSE", url.clone())];
        if matches!(ground, Ground::Bucket(_)) {
            let state = sandbox.path("state/control.sqlite");
            environment.push(("TAGMILL_STATE", state.display().to_string()));
            environment.extend(S3::get().environment());
        }
        Self { sandbox: sandbox.with_environment(environment), url, ground, name: name.to_owned() }
    }

    /// Another place in the same folder or bucket, with a sandbox of its own.
    pub fn beside(&self, name: &str) -> Self {
        Self::new(Sandbox::new(), self.ground.clone(), name)
    }

    /// The objects of the warehouse by their paths below it, sorted. In a folder its control state is one of them.
    pub fn objects(&self) -> Vec<String> {
        let found = wait_for(|| async { self.store().list(None).try_collect::<Vec<ObjectMeta>>().await.unwrap() });
        let mut paths: Vec<String> = found.iter().map(|object| object.location.to_string()).collect();
        paths.sort();
        paths
    }

    /// The content of an object.
    pub fn read(&self, path: &str) -> Vec<u8> {
        let path = ObjectPath::parse(path).unwrap();
        wait_for(|| async { self.store().get(&path).await.unwrap().bytes().await.unwrap().to_vec() })
    }

    /// Puts an object beside those of the warehouse.
    pub fn put(&self, path: &str, content: &str) {
        let path = ObjectPath::parse(path).unwrap();
        wait_for(|| async {
            self.store().put(&path, content.to_owned().into()).await.unwrap();
        });
    }

    fn store(&self) -> PrefixStore<Arc<dyn ObjectStore>> {
        let (store, prefix): (Arc<dyn ObjectStore>, _) = match &self.ground {
            Ground::Folder(folder) => {
                (Arc::new(LocalFileSystem::new()), ObjectPath::from_absolute_path(folder.join(&self.name)))
            }
            Ground::Bucket(bucket) => (S3::get().store(bucket), ObjectPath::parse(&self.name)),
        };
        PrefixStore::new(store, prefix.unwrap())
    }
}
