//! Times the store's main steps on a real directory: `store_bench STEP PATH CACHE STATE [LINK,…]`.
//!
//! Steps: `add` (scan and save), `status` (scan), `checkout` (from nothing), `relink`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use trackway_store::{
    Cache, CacheOptions, CheckoutOptions, Content, Layout, LinkType, NoProgress, Oid, SaveOptions, ScanOptions, State,
    Target, plan, scan, scan_into,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [step, path, cache, state, rest @ ..] = &arguments[..] else { return Err("four arguments, please".into()) };
    let types = rest.first().map_or("", |types| types);
    let link_types = types.split(',').filter_map(LinkType::parse).collect();
    let path = PathBuf::from(path);
    let cache = Cache::open(CacheOptions { root: cache.into(), layout: Layout::V3, link_types, shared: false })?;
    let state = State::open(Path::new(state));
    let start = Instant::now();
    let content = match step.as_str() {
        "add" => {
            let save = SaveOptions { relink: true, state: &state, progress: &NoProgress };
            let content = scan_into(&path, &ScanOptions::new(&state), &cache, &save)?;
            println!("  saved after {:.3} s", start.elapsed().as_secs_f64());
            cache.flush()?;
            content
        }
        "status" => scan(&path, &ScanOptions { cache: Some(&cache), ..ScanOptions::new(&state) })?,
        "checkout" => {
            let oid: Oid = rest.get(1).ok_or("which oid?")?.parse()?;
            let target = match oid.is_dir() {
                true => Target::Tree(cache.read_tree(&oid)?.into()),
                false => Target::File { oid, is_exec: false },
            };
            let old = scan(&path, &ScanOptions { cache: Some(&cache), ..ScanOptions::new(&state) })?;
            let plan = plan(&path, old.as_ref(), Some(&target), false)?;
            assert_eq!(plan.unsaved(&cache, &state)?, Vec::<PathBuf>::new());
            println!("  planned after {:.3} s", start.elapsed().as_secs_f64());
            let outcome = plan.apply(&cache, &CheckoutOptions::new(&state))?;
            println!("  {} files, {} failed", outcome.files, outcome.failed.len());
            None
        }
        _ => return Err("no such step".into()),
    };
    drop((cache, state));
    let oid = content.as_ref().map(Content::oid);
    println!("{step} {:.3} s {}", start.elapsed().as_secs_f64(), oid.map(|oid| oid.to_string()).unwrap_or_default());
    Ok(())
}
