//! What Usher promises, and the commands that try to break it: real processes, killed, cut off from power, disk, Redis or
//! platform, and counted. `cargo xtask prove NAME` runs one at its full size; every run of the tests runs all, reduced
//! (`size.rs`). Each prints one line with its numbers.

mod acme;
mod chance;
mod disk;
mod floods;
mod hostile;
mod judge;
mod killed;
mod merchant;
mod once;
mod origin;
mod power;
mod redis;
mod reload;
mod shelf;
mod size;
mod slow;
mod speed;
mod start;
mod tls;
mod usage;
