//! `.dvc`, `dvc.yaml` and `dvc.lock`: the files by which a repository says what it tracks.
