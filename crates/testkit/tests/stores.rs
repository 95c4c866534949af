//! The object stores as tests get them. That their own clients work with them is shown in
//! compat/services.

use trackway_testkit::services::{Azurite, FakeGcs, Rclone, SeaweedFs, azurite, fake_gcs, seaweedfs};
use trackway_testkit::{Result, temp_dir};

/// The status of a GET that nobody has signed.
fn status(url: &str) -> Result<u16> {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    Ok(agent.get(url).call()?.status().as_u16())
}

#[test]
fn each_test_gets_a_bucket_or_container_of_its_own() -> Result {
    let (one, two) = (seaweedfs::bucket()?, seaweedfs::bucket()?);
    assert_eq!(one.endpoint, two.endpoint);
    assert_ne!(one.name, two.name);
    // It checks signatures.
    assert_eq!(status(&format!("{}/{}", one.endpoint, one.name))?, 403);

    let (one, two) = (azurite::container()?, azurite::container()?);
    assert_eq!(one.endpoint, two.endpoint);
    assert_ne!(one.name, two.name);
    assert!(status(&format!("{}/{}?restype=container", one.endpoint, one.name))? >= 400);

    let (one, two) = (fake_gcs::bucket()?, fake_gcs::bucket()?);
    assert_eq!(one.endpoint, two.endpoint);
    assert_eq!(status(&format!("{}/storage/v1/b/{}", two.endpoint, two.name))?, 200);
    Ok(())
}

#[test]
fn a_store_has_its_buckets_after_a_crash() -> Result {
    let mut seaweedfs = SeaweedFs::start()?;
    seaweedfs.create_bucket("kept")?;
    seaweedfs.crash()?;
    assert!(status(&seaweedfs.endpoint()).is_err());
    seaweedfs.restart()?;
    assert_eq!(status(&format!("{}/kept", seaweedfs.endpoint()))?, 403);
    assert!(seaweedfs.create_bucket("kept").is_err());

    let mut azurite = Azurite::start()?;
    azurite.create_container("kept")?;
    azurite.restart()?;
    assert!(azurite.create_container("kept").is_err());

    let mut fake_gcs = FakeGcs::start()?;
    fake_gcs.create_bucket("kept")?;
    fake_gcs.crash()?;
    fake_gcs.restart()?;
    assert_eq!(status(&format!("{}/storage/v1/b/kept", fake_gcs.endpoint()))?, 200);

    let rclone = Rclone::start()?;
    rclone.create_bucket("kept")?;
    assert!(rclone.create_bucket("kept").is_err());
    Ok(())
}

#[test]
fn a_missing_program_says_how_to_get_it() -> Result {
    let empty = temp_dir()?;
    let test = std::env::current_exe()?;
    let child = std::process::Command::new(test)
        .args(["--exact", "a_store_has_its_buckets_after_a_crash"])
        .env("TRACKWAY_SERVICES_BIN", empty.path())
        .output()?;
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(!child.status.success());
    assert!(said.contains("weed is missing; run `cargo xtask services install seaweedfs`"), "{said}");
    Ok(())
}
