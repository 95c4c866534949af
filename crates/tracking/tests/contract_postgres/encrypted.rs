//! A server that asks for encryption and a password.

use trackway_testkit::services::{Postgres, postgres};
use trackway_tracking::{Backend, OpenError, Options, PostgresConfig, Store};

async fn open(url: &str, variables: &[(&str, &str)]) -> Result<Store, OpenError> {
    let find = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    let backend = Backend::Postgres(PostgresConfig::parse(url, &find)?);
    Store::open(&backend, "mlflow-artifacts:/", &Options::default()).await
}

#[tokio::test]
async fn encryption_is_checked_as_far_as_it_is_asked_for() {
    let server = tokio::task::spawn_blocking(|| {
        Postgres::start(postgres::Options { tls: true, password: Some("se:cret".to_owned()), ..Default::default() })
    })
    .await
    .unwrap()
    .unwrap();
    let base = format!("postgresql://postgres@localhost:{}/postgres", server.port());
    let right = [("PGPASSWORD", "se:cret")];
    let authority = server.authority().display().to_string();
    for good in [
        "sslmode=require".to_owned(),
        format!("sslmode=verify-full&sslrootcert={authority}"),
        format!("sslmode=verify-ca&sslrootcert={authority}"),
        "sslmode=prefer".to_owned(),
        String::new(),
    ] {
        open(&format!("{base}?{good}"), &right)
            .await
            .map(|store| store.close())
            .unwrap_or_else(|error| panic!("{good}: {error}"));
    }
    let other = Postgres::start(postgres::Options { tls: true, ..Default::default() }).unwrap();
    let wrong_authority = format!("{base}?sslmode=verify-ca&sslrootcert={}", other.authority().display());
    for (url, variables, says) in [
        (wrong_authority.as_str(), right.as_slice(), "certificate"),
        (&format!("{base}?sslmode=disable"), &right, "encryption"),
        (&format!("{base}?sslmode=require"), &[("PGPASSWORD", "wrong")], "password authentication failed"),
        (&format!("{base}?sslmode=require"), &[], "password"),
    ] {
        let error = match open(url, variables).await {
            Ok(_) => panic!("{url} was opened"),
            Err(error) => error.to_string(),
        };
        assert!(error.contains(says), "{url}: {error}");
        assert!(!error.contains("se:cret"), "{error}");
    }
}
