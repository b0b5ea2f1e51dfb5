//! `tagmill demo`: a newcomer's tour, from snapshots to a served API, on an invented corp and on real orders.
//!
//! Every section asks the same library crates as the command that it stands for. All dates are fixed: the tour shows
//! the same numbers on every machine and on every day, and running it again changes nothing.

mod computed_tag;
mod corp;
mod crosstabs;
mod definitions;
mod handed_out;
mod invitation;
mod orders;
mod page;
mod segments;
mod stale_tags;

use std::path::Path;

use tagmill_api::ServerConfig;

use super::serve::serve_engine;
use crate::cli::DemoArgs;
use crate::globals::Globals;
use corp::Corp;
use page::Page;

/// Shows it all at work, and then serves it unless told otherwise.
///
/// # Errors
/// Usage, where the warehouse is not the demo's; what any part of it failed with.
pub(crate) async fn run_demo(globals: &Globals, args: &DemoArgs) -> anyhow::Result<()> {
    if !args.no_serve {
        // A port that is taken is better told now than after the tour.
        drop(tagmill_api::bind(&ServerConfig { listen: args.listen }).await?);
    }
    let corp = Corp::open(globals).await?;
    let mut page = Page::begin(
        "tagmill: customer tags into answers",
        "An invented brand on WeCom, then the orders of a real shop. All on this machine.",
    )?;
    tour(&mut page, globals, &corp).await?;
    let kept = format!("It is all kept in `{}` and `{}`.", globals.location, orders::location(globals));
    page.end(&kept)?;
    if args.no_serve {
        return invitation::by_command_line(&page, globals);
    }
    let mut served = globals.clone();
    served.definitions_dir = corp.definitions.folder().map(Path::to_path_buf);
    serve_engine(&served, corp.engine, args.listen, invitation::by_http).await
}

async fn tour(page: &mut Page, globals: &Globals, corp: &Corp) -> anyhow::Result<()> {
    corp::snapshots(page, corp).await?;
    crosstabs::channel_by_activity(page, corp).await?;
    crosstabs::level_by_birth_month(page, corp).await?;
    segments::five_segments(page, corp).await?;
    computed_tag::sleeping_customers(page, corp).await?;
    stale_tags::stale_tags(page, corp).await?;
    handed_out::june_cart_audience(page, corp).await?;
    orders::real_orders(page, globals).await
}
