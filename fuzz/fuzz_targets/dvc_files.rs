//! `.dvc`, `dvc.yaml` and `dvc.lock`: any text gets an answer, and what is read can be written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trackway_dvcfile::{DvcFile, DvcYaml, Files, LockFile, Place, ReadError};

/// Every file that a template names holds the same.
struct OneFile;

impl Files for OneFile {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, ReadError> {
        Ok(path.ends_with(".yaml").then(|| b"a: 1\nb: {c: [1, two]}\n".to_vec()))
    }
}

fuzz_target!(|text: &str| {
    if let Ok(file) = DvcFile::parse(text, "data.dvc") {
        let _ = file.dump(Some(text));
        let fresh = file.dump(None).expect("a file without an older text can be written");
        // A long key of the user's `meta` is folded as stock folds it, and may not be read back.
        if file.meta.is_none() && file.outs.iter().all(|out| out.annotations.meta.is_none()) {
            DvcFile::parse(&fresh, "data.dvc").expect("what was written can be read");
        }
        let _ = file.stage_md5();
    }
    if let Ok(lock) = LockFile::parse(text, "dvc.lock") {
        let _ = lock.dump();
        for (_, entry) in &lock.stages {
            assert_eq!(entry.run_key().len(), entry.run_value().len());
        }
    }
    let place = Place { wdir: "", files: &OneFile, bool_optional: false, list_append: false };
    if let Ok(yaml) = DvcYaml::parse(text, "dvc.yaml", &place)
        && let Ok(names) = yaml.names()
    {
        for name in names.iter().take(100) {
            let _ = yaml.stage(name);
        }
    }
});
