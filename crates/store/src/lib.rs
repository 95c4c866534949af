//! Content-addressed objects: hashing, cache, links, `.dir` trees, the state of the work tree.
