//! Headers, conditions and ranges of a downloaded file.

use std::time::{Duration, SystemTime};

use crate::stores::Bucket;
use crate::{PROXY, Served, request};

crate::on_every_store! {
    a_file_is_an_attachment_that_no_browser_runs,
    a_head_request_gets_the_head,
    a_copy_that_is_still_good_is_not_sent_again,
    ranges_are_cut,
}

async fn with_file(it: &Served, content: &str) -> String {
    assert_eq!(it.put("d/a.json", content.to_owned()).await.status, 200);
    format!("{PROXY}/d/a.json")
}

async fn a_file_is_an_attachment_that_no_browser_runs(it: Served) {
    let uri = with_file(&it, "{}").await;
    let answer = it.get(&uri).await;
    for (name, value) in [
        ("content-type", "text/plain"),
        ("content-disposition", "attachment; filename=a.json"),
        ("x-content-type-options", "nosniff"),
        ("content-length", "2"),
        ("accept-ranges", "bytes"),
        ("content-security-policy", "default-src 'none'; sandbox"),
    ] {
        assert_eq!(answer.header(name), value, "{name}");
    }
    assert!(answer.header("etag").starts_with('"') && answer.header("etag").ends_with('"'));
    assert!(httpdate::parse_http_date(answer.header("last-modified")).is_ok());
    it.put("d/evil%22%0d%0aX-Evil=1.html", "<script>").await;
    it.put("d/%e6%97%a5.html", "<script>").await;
    for (file, disposition) in [
        // A DataNode of Hadoop 2.7 cannot find names with a percent sign.
        ("evil%22%0d%0aX-Evil=1.html", "attachment; filename=\"evil\\\"%0d%0aX-Evil=1.html\""),
        ("%e6%97%a5.html", "attachment; filename=.html; filename*=UTF-8''%E6%97%A5.html"),
    ] {
        if file.starts_with("evil") && matches!(it.bucket, Some(Bucket::WebHdfs(_))) {
            continue;
        }
        let answer = it.get(&format!("{PROXY}/d/{file}")).await;
        assert_eq!(answer.header("content-disposition"), disposition);
        assert_eq!(answer.header("content-type"), "text/html");
        assert!(answer.headers.get("x-evil").is_none());
    }
}

async fn a_head_request_gets_the_head(it: Served) {
    let uri = with_file(&it, "0123456789").await;
    let (get, head) = (it.get(&uri).await, it.ask(request("HEAD", &uri, &[("range", "bytes=1-2")], "")).await);
    assert_eq!((head.status.as_u16(), head.text()), (200, ""));
    assert_eq!(head.headers, get.headers);
    assert_eq!(it.ask(request("HEAD", &format!("{PROXY}/missing"), &[], "")).await.status, 404);
}

async fn a_copy_that_is_still_good_is_not_sent_again(it: Served) {
    let uri = with_file(&it, "0123456789").await;
    let first = it.get(&uri).await;
    let (etag, modified) = (first.header("etag").to_owned(), first.header("last-modified").to_owned());
    let later = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(3600));
    let weak = format!("\"other\", W/{etag}");
    for method in ["GET", "HEAD"] {
        for (name, value) in [
            ("if-none-match", etag.as_str()),
            ("if-none-match", &weak),
            ("if-none-match", "*"),
            ("if-modified-since", &modified),
            ("if-modified-since", &later),
        ] {
            let answer = it.ask(request(method, &uri, &[(name, value)], "")).await;
            assert_eq!((answer.status.as_u16(), answer.text()), (304, ""), "{method} {name}: {value}");
            assert_eq!(answer.header("etag"), etag);
        }
    }
    for headers in [
        vec![("if-none-match", "\"other\"")],
        vec![("if-none-match", "\"other\""), ("if-modified-since", &later)],
        vec![("if-modified-since", "Mon, 01 Jan 2001 00:00:00 GMT")],
        vec![("if-modified-since", "yesterday")],
    ] {
        assert_eq!(it.ask(request("GET", &uri, &headers, "")).await.status, 200, "{headers:?}");
    }
    // SFTP tells times in seconds: what is replaced within one is known by its length only.
    let other = if matches!(it.bucket, Some(Bucket::Sftp(..))) { "98765432100" } else { "9876543210" };
    it.put("d/a.json", other).await;
    assert_eq!(it.ask(request("GET", &uri, &[("if-none-match", &etag)], "")).await.text(), other);
}

async fn ranges_are_cut(it: Served) {
    let content: String = ('a'..='z').cycle().take(700_000).collect();
    let uri = with_file(&it, &content).await;
    let first = it.get(&uri).await;
    assert!(first.text() == content);
    let (etag, modified) = (first.header("etag").to_owned(), first.header("last-modified").to_owned());
    for (range, part) in [
        ("bytes=1-2", 1..3),
        ("bytes=300000-", 300_000..700_000),
        ("bytes=-5", 699_995..700_000),
        ("bytes=699999-9999999", 699_999..700_000),
    ] {
        for condition in [None, Some(&etag), Some(&modified)] {
            let mut headers = vec![("range", range)];
            headers.extend(condition.map(|value| ("if-range", value.as_str())));
            let answer = it.ask(request("GET", &uri, &headers, "")).await;
            assert_eq!(answer.status, 206, "{headers:?}");
            assert_eq!(answer.header("content-range"), format!("bytes {}-{}/700000", part.start, part.end - 1));
            assert_eq!(answer.header("content-length"), part.len().to_string());
            assert!(answer.text() == &content[part.clone()], "{range}");
        }
    }
    let beyond = it.ask(request("GET", &uri, &[("range", "bytes=700000-")], "")).await;
    assert_eq!((beyond.status.as_u16(), beyond.header("content-range")), (416, "bytes */700000"));
    for headers in [
        vec![("range", "bytes=0-1,3-4")],
        vec![("range", "lines=1-2")],
        vec![("range", "bytes=2-1")],
        vec![("range", "bytes=1-2"), ("if-range", "\"other\"")],
        vec![("range", "bytes=1-2"), ("if-range", "Mon, 01 Jan 2001 00:00:00 GMT")],
    ] {
        let answer = it.ask(request("GET", &uri, &headers, "")).await;
        assert_eq!((answer.status.as_u16(), answer.body.len()), (200, 700_000), "{headers:?}");
    }
}
