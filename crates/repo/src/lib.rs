//! A DVC repository: the work tree, its outputs, and the commands on them.
