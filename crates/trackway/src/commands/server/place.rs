//! A look at the folder before anything is written there.
//!
//! Two things stop a start. MLflow's own data where nobody chose a database: whoever typed `trackway server` there may expect
//! their old runs, and must not find an empty server in silence. And a file system on another machine: SQLite's
//! write-ahead log needs memory that is shared between processes, which those do not have, and the price is a broken
//! database.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The file that MLflow keeps its data in by default, and the folder that it used before.
const MLFLOW_DATABASE: &str = "mlflow.db";
const MLFLOW_FOLDER: &str = "mlruns";

/// Refuses `folder` when MLflow's data lies in it and `database` is not there yet. Files are only looked at.
///
/// Once the database exists, somebody has decided, and later starts need no flag.
pub fn check_for_mlflow(folder: &Path, database: &Path) -> Result<(), String> {
    if folder.join(database).exists() {
        return Ok(());
    }
    let found = if is_sqlite(&folder.join(MLFLOW_DATABASE)) {
        format!("{} is MLflow's database", folder.join(MLFLOW_DATABASE).display())
    } else if has_experiments(&folder.join(MLFLOW_FOLDER)) {
        format!("{} holds runs that MLflow wrote", folder.join(MLFLOW_FOLDER).display())
    } else {
        return Ok(());
    };
    let database = database.display();
    Err(format!(
        "{found}. Trackway cannot bring it over yet, and has not touched it. You can\n  \
         - begin anew beside it, and leave it alone:  trackway server --backend-store-uri sqlite:///{database}\n  \
         - begin anew in another folder:              cd elsewhere && trackway server\n  \
         - stay with MLflow for this data:            mlflow server"
    ))
}

fn is_sqlite(path: &Path) -> bool {
    let mut start = [0; 16];
    let read = fs::File::open(path).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && &start == b"SQLite format 3\0"
}

/// As MLflow 3.17 decides whether a folder is a file store: a folder whose name is a number, with a meta.yaml in it.
fn has_experiments(folder: &Path) -> bool {
    let Ok(entries) = fs::read_dir(folder) else {
        return false;
    };
    entries.flatten().any(|entry| {
        let name = entry.file_name();
        let number =
            name.to_str().is_some_and(|name| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit()));
        number && entry.path().join("meta.yaml").symlink_metadata().is_ok()
    })
}

/// Refuses a database on a file system that lies on another machine, by that system's name.
pub fn check_file_system(database: &Path) -> Result<(), String> {
    let folder = nearest_existing_folder(database);
    match file_system_of(&folder).and_then(|found| network_file_system(&found)) {
        None => Ok(()),
        Some(name) => Err(format!(
            "{} lies on a network file system ({name}), where SQLite cannot share its write-ahead log between processes: the \
             database could break. Put it on a local disk with --backend-store-uri sqlite:////a/local/path/trackway.db \
             (artifacts may stay on the network).",
            database.display()
        )),
    }
}

/// The folder that will hold the file, or the nearest one above it that is there.
fn nearest_existing_folder(file: &Path) -> PathBuf {
    let real = fs::canonicalize(file);
    let file = real.as_deref().unwrap_or(file);
    file.ancestors().skip(1).find(|folder| folder.is_dir()).unwrap_or(Path::new("/")).to_owned()
}

/// What the kernel calls a file system: the number that statfs gives, and the word of the mount table.
#[derive(Debug, Clone, PartialEq, Eq)]
struct FileSystem {
    magic: u64,
    kind: String,
}

#[cfg(target_os = "linux")]
fn file_system_of(folder: &Path) -> Option<FileSystem> {
    use std::os::unix::fs::MetadataExt;

    let magic = rustix::fs::statfs(folder).ok()?.f_type as u64 & 0xffff_ffff;
    let device = fs::metadata(folder).ok()?.dev();
    let device = format!("{}:{}", rustix::fs::major(device), rustix::fs::minor(device));
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let kind = mounts.lines().find_map(|line| mount_kind(line, &device)).unwrap_or_default();
    Some(FileSystem { magic, kind })
}

/// Other systems have no such numbers; there SQLite itself refuses what it notices.
#[cfg(not(target_os = "linux"))]
fn file_system_of(_folder: &Path) -> Option<FileSystem> {
    None
}

/// The kind in a line of mountinfo, when the line is about the device. Its third field is the device; the kind
/// stands behind a lone hyphen.
#[cfg(any(target_os = "linux", test))]
fn mount_kind(line: &str, device: &str) -> Option<String> {
    let mut fields = line.split(' ');
    if fields.nth(2)? != device {
        return None;
    }
    fields.skip_while(|field| *field != "-").nth(1).map(str::to_owned)
}

/// The name of a file system that lies on another machine, by its number.
const BY_NUMBER: &[(u64, &str)] = &[
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xfe53_4d42, "SMB2"),
    (0xff53_4d42, "CIFS"),
    (0x0102_1997, "9p"),
    (0x5346_414f, "AFS"),
    (0x6b41_4653, "AFS"),
    (0x7375_7245, "Coda"),
    (0x564c, "NCP"),
    (0x00c3_6400, "CephFS"),
    (0x0bd0_0bd0, "Lustre"),
    (0x4750_4653, "GPFS"),
    (0x1983_0326, "BeeGFS"),
    (0x2003_0528, "OrangeFS"),
    (0xaad7_aaea, "PanFS"),
    (0x786f_4256, "vboxsf"),
    (0xbacb_acbc, "vmhgfs"),
];

/// FUSE is one number for many: a window to another machine or to a bucket, or a local disk. These words are of the former.
const FUSE: u64 = 0x6573_5546;
const BY_FUSE_NAME: &[&str] = &[
    "sshfs",
    "s3fs",
    "rclone",
    "gcsfuse",
    "goofys",
    "geesefs",
    "juicefs",
    "JuiceFS",
    "blobfuse",
    "blobfuse2",
    "mount-s3",
    "mountpoint-s3",
    "glusterfs",
    "ceph",
    "ceph-fuse",
    "davfs",
    "davfs2",
    "curlftpfs",
    "smbnetfs",
    "seaweedfs",
    "objectivefs",
    "alluxio",
    "hdfs",
    "fuse_dfs",
    "gvfsd-fuse",
    "moosefs",
    "mfs",
    "lizardfs",
    "cernvm-fs",
    "cvmfs2",
    "vmhgfs-fuse",
    "prl_fsd",
    "9pfs",
    "nfs",
];

fn network_file_system(found: &FileSystem) -> Option<String> {
    if let Some((_, name)) = BY_NUMBER.iter().find(|(magic, _)| *magic == found.magic) {
        return Some((*name).to_owned());
    }
    if found.magic != FUSE {
        return None;
    }
    if found.kind == "virtiofs" {
        return Some("virtiofs".to_owned());
    }
    let name = found.kind.strip_prefix("fuse.")?;
    BY_FUSE_NAME.contains(&name).then(|| format!("FUSE, {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mlflows_data_stops_a_start_that_names_no_database() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path();
        let check = || check_for_mlflow(folder, Path::new("trackway.db"));
        assert_eq!(check(), Ok(()));

        // A folder of artifacts alone is no store, nor is an empty file.
        fs::create_dir_all(folder.join("mlruns/1/abc/artifacts")).unwrap();
        fs::write(folder.join("mlflow.db"), "").unwrap();
        assert_eq!(check(), Ok(()));

        fs::write(folder.join("mlruns/1/meta.yaml"), "name: x").unwrap();
        let message = check().unwrap_err();
        assert!(message.contains("mlruns holds runs that MLflow wrote"), "{message}");
        fs::write(folder.join("mlflow.db"), "SQLite format 3\0 and so on").unwrap();
        let message = check().unwrap_err();
        assert!(message.contains("mlflow.db is MLflow's database"), "{message}");
        for way_out in ["--backend-store-uri sqlite:///trackway.db", "cd elsewhere", "mlflow server"] {
            assert!(message.contains(way_out), "{message}");
        }
        assert_eq!(fs::read(folder.join("mlflow.db")).unwrap(), b"SQLite format 3\0 and so on");

        fs::write(folder.join("trackway.db"), "").unwrap();
        assert_eq!(check(), Ok(()), "somebody has chosen before");
    }

    #[test]
    fn network_file_systems_are_known_by_name() {
        let named = |magic, kind: &str| network_file_system(&FileSystem { magic, kind: kind.to_owned() });
        for (magic, kind, expected) in [
            (0x6969, "nfs4", Some("NFS")),
            (0xff53_4d42, "cifs", Some("CIFS")),
            (0xfe53_4d42, "smb3", Some("SMB2")),
            (0x0102_1997, "9p", Some("9p")),
            (FUSE, "fuse.sshfs", Some("FUSE, sshfs")),
            (FUSE, "fuse.s3fs", Some("FUSE, s3fs")),
            (FUSE, "virtiofs", Some("virtiofs")),
            (FUSE, "fuseblk", None),
            (FUSE, "fuse.fuse-overlayfs", None),
            (FUSE, "fuse.mergerfs", None),
            (0xef53, "ext4", None),
            (0x9123_683e, "btrfs", None),
            (0x5846_5342, "xfs", None),
            (0x0102_1994, "tmpfs", None),
            (0x794c_7630, "overlay", None),
            (0x2fc1_2fc1, "zfs", None),
        ] {
            assert_eq!(named(magic, kind).as_deref(), expected, "{kind}");
        }
    }

    #[test]
    fn mount_lines_are_read() {
        let line = "36 35 0:52 / /mnt/home rw,noatime shared:1 master:2 - fuse.sshfs ann@host:/home rw,user_id=1000";
        assert_eq!(mount_kind(line, "0:52").as_deref(), Some("fuse.sshfs"));
        assert_eq!(mount_kind(line, "0:5"), None);
        assert_eq!(mount_kind("22 1 254:0 / / rw - ext4 /dev/vda rw", "254:0").as_deref(), Some("ext4"));
        assert_eq!(mount_kind("short", "0:1"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_kernel_tells_about_a_real_folder() {
        // Always there, and always local memory.
        let found = file_system_of(Path::new("/proc")).unwrap();
        assert_eq!(found, FileSystem { magic: 0x9fa0, kind: "proc".to_owned() });
        assert_eq!(network_file_system(&found), None);
    }

    #[test]
    fn a_database_in_a_folder_to_be_made_is_judged_by_the_folder_above() {
        let dir = tempfile::tempdir().unwrap();
        let real = fs::canonicalize(dir.path()).unwrap();
        assert_eq!(nearest_existing_folder(&real.join("a/b/trackway.db")), real);
        #[cfg(unix)]
        {
            let elsewhere = tempfile::tempdir().unwrap();
            fs::write(elsewhere.path().join("real.db"), "").unwrap();
            std::os::unix::fs::symlink(elsewhere.path().join("real.db"), real.join("link.db")).unwrap();
            assert_eq!(nearest_existing_folder(&real.join("link.db")), fs::canonicalize(elsewhere.path()).unwrap());
        }
    }
}
