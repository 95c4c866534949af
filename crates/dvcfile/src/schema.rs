//! DVC's schemas.
