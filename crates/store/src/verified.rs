//! The record of verified objects.
