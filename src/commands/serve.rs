//! `tagmill serve`: the HTTP API on this machine.

use std::net::SocketAddr;

use tagmill_api::ServerConfig;
use tagmill_query::{Engine, Limits};

use crate::cli::ServeArgs;
use crate::globals::Globals;
use crate::output::say;

/// Serves the warehouse until ctrl-c or a termination signal; requests under way are answered first.
///
/// # Errors
/// `ApiError::NotLoopback` for an address that others can reach; what opening the warehouse or the port failed with.
pub(crate) async fn serve_warehouse(globals: &Globals, args: &ServeArgs) -> anyhow::Result<()> {
    // One engine answers all requests, so that they share its memory.
    let limits = Limits { memory_bytes: args.memory, ..Limits::default() };
    let engine = globals.open_engine(limits).await?;
    serve_engine(globals, engine, args.listen, |address| {
        say(format!("serving {} on http://{address} · ctrl-c ends it", globals.location));
        say(format!("try: curl http://{address}/api/v1/snapshots"));
    })
    .await
}

/// Serves an engine as [`serve_warehouse`] does; `ready` is told the address once connections are taken.
///
/// # Errors
/// As [`serve_warehouse`].
pub(crate) async fn serve_engine(
    globals: &Globals,
    engine: Engine,
    listen: SocketAddr,
    ready: impl FnOnce(SocketAddr),
) -> anyhow::Result<()> {
    let listener = tagmill_api::bind(&ServerConfig { listen }).await?;
    ready(listener.local_addr()?);
    tagmill_api::serve(listener, engine, globals.definitions(), stop_signal()).await?;
    say("stopped");
    Ok(())
}

/// Waits for ctrl-c, or for what a service manager sends to end a process.
async fn stop_signal() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};

        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    // Without a signal to wait for, the server must not stop at once.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
