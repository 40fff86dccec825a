//! The command `gateway`: registers the gateways that take the routes.

use std::time::Duration;

use clap::Subcommand;

use super::{Failure, reach, say};
use crate::{
    config::Config,
    db::Database,
    gateway::{GatewayName, GatewayToken, store},
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Register a gateway, and print its token, which is shown this once
    Add {
        /// Name of the server, like gw1
        name: String,
    },
    /// List the gateways, with what each has loaded
    List,
    /// Print a new token for a gateway; the old one stops working
    Token {
        /// The gateway
        name: String,
    },
    /// Forget a gateway; its token stops working
    Remove {
        /// The gateway
        name: String,
    },
}

impl Command {
    /// Runs the command on the portal's database, whether a portal is running or not.
    pub(super) async fn run(self, config: Config) -> Result<(), Failure> {
        let name = match &self {
            Self::Add { name } | Self::Token { name } | Self::Remove { name } => Some(parse(name)?),
            Self::List => None,
        };
        let reached = reach::database(&config).await?;
        let done = self.done(&reached.db, name).await;
        reached.close().await?;
        say(&done?);
        Ok(())
    }

    /// Does it; returns what to print.
    async fn done(self, db: &Database, name: Option<GatewayName>) -> Result<String, Failure> {
        // The first gateway waits for whoever is changing routes, which takes longer than a page may.
        let pool = db.pool.clone().within(Duration::from_mins(10));
        let Some(name) = name else {
            return list(db).await;
        };
        let shown = name.as_str();
        let token = GatewayToken::random();
        let (done, told) = match self {
            Self::Add { .. } => (store::add(&pool, &name, &token).await?, token.reveal()),
            Self::Token { .. } => (
                store::replace_token(&pool, &name, &token).await?,
                token.reveal(),
            ),
            Self::Remove { .. } | Self::List => (
                store::remove(&pool, &name).await?,
                format!("removed {shown}"),
            ),
        };
        if done {
            return Ok(told);
        }
        Err(Failure::Refused(match self {
            Self::Add { .. } => format!(
                "there is a gateway {shown} already: give it a new token with `pic-portal gateway token {shown}`"
            ),
            _ => format!(
                "there is no gateway {shown}: `pic-portal gateway list` shows what there is"
            ),
        }))
    }
}

fn parse(name: &str) -> Result<GatewayName, Failure> {
    GatewayName::parse(name).ok_or_else(|| {
        Failure::Refused(
            "a gateway's name is 1 to 40 small letters, digits, dots, hyphens and underscores, and begins with a letter or digit, like gw1".into(),
        )
    })
}

async fn list(db: &Database) -> Result<String, Failure> {
    let lines: Vec<_> = store::list(&db.pool)
        .await?
        .iter()
        .map(|gateway| format!("{}  {}", gateway.name, gateway.state()))
        .collect();
    if lines.is_empty() {
        return Ok("no gateways yet: register one with `pic-portal gateway add NAME`".into());
    }
    Ok(lines.join("\n"))
}
