//! Filters, orders and pages.

use trackway_tracking::{RunSearch, Store};

use crate::{Fresh, fresh, param, point, run, tag};

/// Runs r0 … r9: metric `acc` = 0.0 … 0.9 but missing in r3 and NaN in r4; param `lr` = its number; tag `even` on even ones.
async fn ten() -> Fresh {
    let fresh = fresh().await;
    for i in 0..10 {
        let id = run(&fresh.store, &format!("r{i}"), 100 + i).await.info.run_id;
        let value = if i == 4 { f64::NAN } else { i as f64 / 10.0 };
        let metrics = if i == 3 { vec![] } else { vec![point("acc", 0, 0, value)] };
        let tags = if i % 2 == 0 { vec![tag("even", "Yes")] } else { vec![] };
        fresh.store.log_batch(id, metrics, vec![param("lr", &i.to_string())], tags).await.unwrap();
    }
    fresh
}

fn search(filter: &str, order_by: &[&str]) -> RunSearch {
    RunSearch {
        experiment_ids: vec![0],
        filter: filter.to_owned(),
        order_by: order_by.iter().map(|key| (*key).to_owned()).collect(),
        max_results: 100,
        ..RunSearch::default()
    }
}

async fn names(store: &Store, search: RunSearch) -> String {
    let page = store.search_runs(search).await.unwrap();
    page.items.iter().map(|run| run.info.name.trim_start_matches('r')).collect()
}

#[tokio::test]
async fn filters_match_as_in_mlflow() {
    let fresh = ten().await;
    for (filter, expected) in [
        ("", "9876543210"),
        ("metrics.acc > 0.45", "98765"),
        ("metrics.acc != 0.5", "98764210"),
        ("metrics.acc <= 0.1 AND params.lr != '0'", "1"),
        ("params.lr = '3'", "3"),
        ("tags.even = 'Yes'", "86420"),
        ("tags.even LIKE 'y%'", ""),
        ("tags.even ILIKE 'y%'", "86420"),
        ("tags.even IS NULL AND metrics.acc >= 0", "9751"),
        ("tags.even != 'Yes'", ""),
        ("attributes.run_name = 'r7'", "7"),
        ("start_time > 107", "98"),
        ("params.unknown = '1'", ""),
        ("metrics.unknown != 1", ""),
    ] {
        assert_eq!(names(&fresh.store, search(filter, &[])).await, expected, "{filter}");
    }
}

#[tokio::test]
async fn filters_beyond_mlflows() {
    let fresh = ten().await;
    for (filter, expected) in [
        // r3 has no accuracy, that of r4 is NaN; the odd ones have no tag; none has ended.
        ("params.lr IN ('3', '5', 'x')", "53"),
        ("params.lr NOT IN ('3', '5')", "98764210"),
        ("tags.even NOT IN ('No')", "86420"),
        ("params.lr = '1' OR params.lr = '2' AND tags.even IS NULL", "1"),
        ("(params.lr = '1' OR params.lr = '2') AND tags.even IS NOT NULL", "2"),
        ("NOT (params.lr = '1' OR tags.even = 'Yes')", "9753"),
        // NOT is the opposite, also where the key is missing; a comparator wants it to be there.
        ("NOT tags.even = 'Yes'", "97531"),
        ("NOT tags.even != 'Yes'", "9876543210"),
        ("NOT metrics.acc > 0.45", "43210"),
        ("NOT end_time > 5", "9876543210"),
        ("NOT (end_time > 5 AND params.lr = '1')", "9876543210"),
        ("NOT (NOT end_time > 5 OR params.lr = '1')", ""),
        ("end_time IS NULL AND start_time IS NOT NULL AND NOT run_name IS NULL", "9876543210"),
        ("metrics.acc IS NULL", "3"),
        ("metrics.acc IS NOT NULL AND NOT metrics.acc >= 0", "4"),
        ("metrics.acc BETWEEN 0.5 AND 0.7", "765"),
        ("metrics.acc BETWEEN 0.7 AND 0.5", ""),
        ("metrics.acc NOT BETWEEN 0.5 AND 0.7", "984210"),
        ("NOT metrics.acc BETWEEN 0.5 AND 0.7", "9843210"),
        ("metrics.acc IN (0.5, 0, 7)", "50"),
        ("metrics.acc NOT IN (0.5, 0)", "9876421"),
        ("start_time BETWEEN 102.5 AND 104", "43"),
        ("start_time IN (102, 104.0)", "42"),
        ("params.lr RLIKE '^[1-3]$'", "321"),
        ("params.lr NOT RLIKE '[0-7]'", "98"),
        ("tags.even RLIKE 'e'", "86420"),
        ("tags.even RLIKE '(?i)^YES$' AND NOT params.lr RLIKE '4|6'", "820"),
        ("tags.even NOT LIKE 'Y%'", ""),
        ("NOT tags.even ILIKE 'y__'", "97531"),
        ("run_name IN ('r1', 'r8') OR run_name LIKE '%3'", "831"),
        ("dataset.name IS NULL AND params.lr = '1'", "1"),
        ("dataset.context IS NOT NULL OR params.lr = '1'", "1"),
    ] {
        assert_eq!(names(&fresh.store, search(filter, &[])).await, expected, "{filter}");
    }
    // As many conditions as a filter may have, in any form.
    let any = vec!["params.lr = '3'"; 1_000].join(" OR ");
    assert_eq!(names(&fresh.store, search(&any, &[])).await, "3");
    let nested = format!("{}params.lr = '3'{}", "NOT (params.lr = '1' OR ".repeat(50), ")".repeat(50));
    assert_eq!(names(&fresh.store, search(&nested, &[])).await, "3");
}

#[tokio::test]
async fn values_come_before_nan_before_missing_in_both_directions() {
    let fresh = ten().await;
    assert_eq!(names(&fresh.store, search("", &["metrics.acc DESC"])).await, "9876521043");
    assert_eq!(names(&fresh.store, search("", &["metrics.acc ASC"])).await, "0125678943");
    assert_eq!(names(&fresh.store, search("", &["tags.even", "params.lr"])).await, "0246813579");
    assert_eq!(names(&fresh.store, search("", &["attributes.start_time ASC"])).await, "0123456789");
}

#[tokio::test]
async fn pages_go_on_behind_the_last_row_whatever_comes_in_front() {
    let fresh = ten().await;
    for order in [vec![], vec!["metrics.acc DESC"], vec!["tags.even DESC", "metrics.acc"], vec!["params.unknown"]] {
        let whole = names(&fresh.store, search("", &order)).await;
        let mut paged = String::new();
        let mut token = None;
        loop {
            let part = RunSearch { max_results: 3, page_token: token, ..search("", &order) };
            let page = fresh.store.search_runs(part).await.unwrap();
            paged.extend(page.items.iter().map(|run| run.info.name.trim_start_matches('r').to_owned()));
            token = page.next_page_token;
            if token.is_none() {
                break;
            }
        }
        assert_eq!(paged, whole, "{order:?}");
    }
    // A run that starts between two pages shifts nothing.
    let first = fresh.store.search_runs(RunSearch { max_results: 3, ..search("", &[]) }).await.unwrap();
    run(&fresh.store, "rX", 999).await;
    let next = RunSearch { max_results: 3, page_token: first.next_page_token.clone(), ..search("", &[]) };
    assert_eq!(names(&fresh.store, next).await, "654");
    // A token of another search is refused, not misread.
    let foreign = RunSearch { page_token: first.next_page_token, ..search("", &["metrics.acc"]) };
    assert!(fresh.store.search_runs(foreign).await.is_err());
}

#[tokio::test]
async fn a_mistake_points_at_its_place() {
    let fresh = fresh().await;
    let error = fresh.store.search_runs(search("metrics.acc > 'x'", &[])).await.unwrap_err().to_string();
    assert!(error.contains("metrics.acc > 'x'\n"), "{error}");
    assert!(error.contains("              ^"), "{error}");
}
