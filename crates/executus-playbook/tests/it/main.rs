//! Run files and playbooks from the outside.

mod bad_files;
mod good_files;
mod inputs;
mod playbook;
mod properties;
mod recovery;
mod support;
