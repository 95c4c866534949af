//! What we read of git, and what we ask the git program to do.
