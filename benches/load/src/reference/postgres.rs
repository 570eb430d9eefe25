//! PostgreSQL: one connection, one statement for a whole group, which is a transaction of its own.

use std::collections::HashSet;

use postgres::{Client, NoTls, Statement};

use super::store::{Commit, Job, Kept, now};

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS reference_delivery (id BYTEA PRIMARY KEY, received_at BIGINT NOT NULL);
    CREATE TABLE IF NOT EXISTS reference_job (
        id BIGSERIAL PRIMARY KEY, delivery BYTEA NOT NULL, repo TEXT NOT NULL, number BIGINT NOT NULL,
        action TEXT NOT NULL, state INT NOT NULL DEFAULT 0, payload BYTEA NOT NULL
    );";
const KEEP: &str = "
    WITH given AS (
        SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::text[], $4::bigint[], $5::text[], $6::bytea[])
            AS given (id, received_at, repo, number, action, payload)
    ), new AS (
        INSERT INTO reference_delivery SELECT id, received_at FROM given ON CONFLICT DO NOTHING RETURNING id
    ), kept AS (
        INSERT INTO reference_job (delivery, repo, number, action, payload)
        SELECT id, repo, number, action, payload FROM given JOIN new USING (id)
    )
    SELECT id FROM new";

pub fn open(url: &str) -> anyhow::Result<Commit> {
    // It waits for answers in its own way, which no thread that serves may do.
    let url = url.to_owned();
    let opened = std::thread::spawn(move || -> anyhow::Result<(Client, Statement)> {
        let mut client = Client::connect(&url, NoTls)?;
        client.batch_execute(SCHEMA)?;
        let keep = client.prepare(KEEP)?;
        Ok((client, keep))
    });
    let (mut client, keep) = opened.join().map_err(|_| anyhow::anyhow!("no connection"))??;
    Ok(Box::new(move |group| Ok(commit(&mut client, &keep, group)?)))
}

fn commit(
    client: &mut Client,
    keep: &Statement,
    group: &[&Job],
) -> Result<Vec<Kept>, postgres::Error> {
    let column = |of: fn(&Job) -> &[u8]| group.iter().map(|job| of(job)).collect::<Vec<_>>();
    let (ids, bodies) = (column(|job| &job.id), column(|job| &job.body));
    let received_at = vec![now(); group.len()];
    let repos: Vec<_> = group.iter().map(|job| &job.repo[..]).collect();
    let numbers: Vec<_> = group.iter().map(|job| job.number).collect();
    let actions: Vec<_> = group.iter().map(|job| &job.action[..]).collect();
    let rows = client.query(keep, &[&ids, &received_at, &repos, &numbers, &actions, &bodies])?;
    let mut new: HashSet<Vec<u8>> = rows.iter().map(|row| row.get(0)).collect();
    let kept = |id: &[u8]| if new.remove(id) { Kept::New } else { Kept::Repeated };
    Ok(ids.into_iter().map(kept).collect())
}
