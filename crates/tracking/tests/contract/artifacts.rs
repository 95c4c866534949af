//! The memory of what lies in buckets.

use trackway_tracking::{ArtifactDir, ArtifactFile, Store};

use crate::fresh;

const ROOT: &str = "s3://bucket/0/run/artifacts";

async fn note(store: &Store, path: &str, size: u64) {
    store.note_artifact(ROOT.to_owned(), path.to_owned(), size, Some("etag".to_owned())).await.unwrap();
}

async fn forget(store: &Store, path: &str) {
    store.forget_artifacts(ROOT.to_owned(), path.to_owned()).await.unwrap();
}

async fn dir(store: &Store, dir: &str) -> Option<ArtifactDir> {
    let mut found = store.remembered_artifacts(ROOT.to_owned(), dir.to_owned()).await.unwrap()?;
    found.dirs.sort();
    found.files.sort_by(|a, b| a.name.cmp(&b.name));
    Some(found)
}

/// The names in a directory, those of directories with a slash, and the sizes of files.
async fn names(store: &Store, path: &str) -> Option<String> {
    let found = dir(store, path).await?;
    let dirs = found.dirs.iter().map(|name| format!("{name}/"));
    let files = found.files.iter().map(|file| format!("{}:{}", file.name, file.size));
    Some(dirs.chain(files).collect::<Vec<_>>().join(" "))
}

fn files(names: &[(&str, u64)]) -> Vec<ArtifactFile> {
    names.iter().map(|(name, size)| ArtifactFile { name: (*name).to_owned(), size: *size }).collect()
}

async fn look(store: &Store, path: &str, dirs: &[&str], found: &[(&str, u64)]) -> bool {
    let look = store.begin_look(ROOT.to_owned(), path.to_owned()).await.unwrap();
    store.end_look(look, dirs.iter().map(|dir| (*dir).to_owned()).collect(), files(found)).await.unwrap()
}

#[tokio::test]
async fn what_is_noted_is_listed_by_directory() {
    let fresh = fresh().await;
    let store = &fresh.store;
    assert_eq!(dir(store, "").await, None);
    note(store, "a.txt", 1).await;
    note(store, "m/MLmodel", 2).await;
    note(store, "m/data/x", 3).await;
    note(store, "m/data/x", 4).await;
    note(store, "m/data0", 5).await;
    assert_eq!(names(store, "").await.unwrap(), "m/ a.txt:1");
    assert_eq!(names(store, "m").await.unwrap(), "data/ MLmodel:2 data0:5");
    assert_eq!(names(store, "m/data").await.unwrap(), "x:4");
    assert_eq!(dir(store, "").await.unwrap().seen, None, "nobody has looked");
    assert_eq!(dir(store, "other").await, None);
    assert_eq!(store.remembered_artifacts("s3://bucket/0/other".to_owned(), String::new()).await.unwrap(), None);
    // Another server on the database knows the same.
    assert_eq!(names(&fresh.again().await, "m").await.unwrap(), "data/ MLmodel:2 data0:5");
    forget(store, "m/data").await;
    assert_eq!(names(store, "m").await.unwrap(), "MLmodel:2 data0:5");
    assert_eq!(dir(store, "m/data").await, None);
    forget(store, "").await;
    assert_eq!(dir(store, "").await, None);
    forget(store, "missing").await;
    note(store, "a", 1).await;
    store.forget_artifact_roots("s3://bucket/0/other".to_owned()).await.unwrap();
    assert_eq!(names(store, "").await.unwrap(), "a:1");
    store.forget_artifact_roots("s3://bucket/0".to_owned()).await.unwrap();
    assert_eq!(dir(store, "").await, None);
}

#[tokio::test]
async fn a_look_brings_the_memory_up_to_date() {
    let fresh = fresh().await;
    let store = &fresh.store;
    note(store, "mine", 1).await;
    note(store, "gone", 1).await;
    note(store, "grown", 1).await;
    note(store, "dead/x/y", 1).await;
    assert!(look(store, "", &["theirs"], &[("mine", 1), ("grown", 7), ("new", 2)]).await);
    assert_eq!(names(store, "").await.unwrap(), "theirs/ grown:7 mine:1 new:2");
    let found = dir(store, "").await.unwrap();
    assert!(found.seen.is_some() && found.shared);
    assert_eq!(dir(store, "theirs").await.unwrap().seen, None, "it was not looked into");
    assert!(dir(store, "dead/x").await.unwrap().files.is_empty());
    // The second look finds nothing new.
    assert!(look(store, "", &["theirs"], &[("mine", 1), ("grown", 7), ("new", 2)]).await);
    assert!(!dir(store, "").await.unwrap().shared);
    // A directory that comes up in one that was seen was empty; one that is not there is known not to be.
    note(store, "fresh/file", 1).await;
    assert!(dir(store, "fresh").await.unwrap().seen.is_some());
    assert!(dir(store, "nowhere/at/all").await.unwrap().seen.is_some());
    assert_eq!(dir(store, "theirs/below").await, None);
    // What becomes empty goes, also by a look.
    assert!(look(store, "fresh", &[], &[]).await);
    assert_eq!(names(store, "").await.unwrap(), "theirs/ grown:7 mine:1 new:2");
    note(store, "deep/er/file", 1).await;
    forget(store, "deep/er/file").await;
    assert_eq!(names(store, "").await.unwrap(), "theirs/ grown:7 mine:1 new:2");
    // An empty root is known to be empty.
    assert!(look(store, "", &[], &[]).await);
    assert_eq!(names(store, "").await.unwrap(), "");
    // A directory that nobody knew is noted with those above.
    assert!(look(store, "p/q", &[], &[("f", 1)]).await);
    assert_eq!(names(store, "p").await.unwrap(), "q/");
    assert!(look(store, "never", &[], &[]).await);
    assert_eq!(names(store, "").await.unwrap(), "p/");
}

#[tokio::test]
async fn a_look_takes_nothing_away_that_came_meanwhile() {
    let fresh = fresh().await;
    let store = &fresh.store;
    note(store, "old", 1).await;
    note(store, "dir/old", 1).await;
    let begun = store.begin_look(ROOT.to_owned(), String::new()).await.unwrap();
    note(store, "new", 2).await;
    note(store, "old", 9).await;
    note(store, "dir/new", 3).await;
    assert!(store.end_look(begun, Vec::new(), files(&[("old", 1)])).await.unwrap());
    assert_eq!(names(store, "").await.unwrap(), "dir/ new:2 old:9");
    assert_eq!(names(store, "dir").await.unwrap(), "new:3 old:1");
    // What was deleted meanwhile does not come back.
    let begun = store.begin_look(ROOT.to_owned(), String::new()).await.unwrap();
    forget(store, "new").await;
    assert!(!store.end_look(begun, Vec::new(), files(&[("new", 2), ("old", 9)])).await.unwrap());
    assert_eq!(names(store, "").await.unwrap(), "dir/ old:9");
    let begun = store.begin_look(ROOT.to_owned(), String::new()).await.unwrap();
    forget(store, "").await;
    assert!(!store.end_look(begun, Vec::new(), files(&[("old", 9)])).await.unwrap());
    assert!(dir(store, "").await.is_none_or(|dir| dir.files.is_empty()));
}

#[tokio::test]
async fn many_servers_note_and_forget_at_once() {
    let fresh = fresh().await;
    let servers = [fresh.store.clone(), fresh.again().await];
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..8usize {
        let store = servers[task % 2].clone();
        tasks.spawn(async move {
            for round in 0..10 {
                note(&store, &format!("d{}/e/{task}-{round}", round % 3), 1).await;
                match task {
                    0 => forget(&store, &format!("d{}/e/0-{round}", round % 3)).await,
                    1 => _ = look(&store, "", &["d0", "d1", "d2"], &[]).await,
                    2 => forget(&store, "d0/nothing").await,
                    _ => {}
                }
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    let mut found = 0;
    for dir in ["d0", "d1", "d2"] {
        assert_eq!(names(&servers[1], dir).await.unwrap(), "e/");
        found += self::dir(&servers[0], &format!("{dir}/e")).await.unwrap().files.len();
    }
    assert_eq!(found, 70);
}
