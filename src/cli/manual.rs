//! The command `manual`: writes the man page and the completions of shells.

use std::{fs, io, path::Path};

use clap::Command;
use clap_complete::{Shell, generate_to};
use clap_mangen::Man;

/// Writes all of them to `directory`, which is made if it is missing.
pub(super) fn write(mut program: Command, directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        generate_to(shell, &mut program, "pic-portal", directory)?;
    }
    // One page for all: each command takes all settings, and a page of its own would repeat them.
    let mut page = Vec::new();
    Man::new(program.flatten_help(true)).render(&mut page)?;
    fs::write(directory.join("pic-portal.1"), page)
}
