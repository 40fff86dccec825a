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
    let mut page = Vec::new();
    Man::new(program.clone()).render(&mut page)?;
    // One page for all: the commands have none of their own.
    let mut page = String::from_utf8_lossy(&page).into_owned();
    for command in program.get_subcommands() {
        let name = command.get_name();
        page = page.replace(
            &format!(r"pic\-portal\-{name}(1)"),
            &format!(r"pic\-portal {name}"),
        );
    }
    fs::write(directory.join("pic-portal.1"), page)
}
